"""Compare the prediction with a served load: first token with prefill, later tokens with decode.

A load of concurrency C is compared with a batch of C. The prediction counts the layers alone: no scheduler,
no sampling, no network, no second prompt that is read while others decode. A ratio above one is what those
cost, or what the prediction misses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from quantroof.advisor.advice import AdviceOptions
from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.estimate import Estimate
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.machine import Machine
from quantroof.advisor.models import Model
from quantroof.advisor.options import OptionEvaluator
from quantroof.advisor.step import Step, decode_step, prefill
from quantroof.advisor.timings import TimingTable
from quantroof.records.served import ServedLoad


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction and the median measured for it, if any. `linear`: where linear layers' times come from."""

    measured_s: float | None
    predicted: Estimate
    linear: str

    @property
    def ratio(self) -> float | None:
        """Measured over predicted."""
        return None if self.measured_s is None else self.measured_s / self.predicted.seconds


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """The prediction for one load, or `reason` why there is none.

    `first_token` is the prefill of all prompts together, `first_token_alone` of one; in a steady load prompts
    come one by one, and the time lies between the two. `per_token` is a decode step at the mean context.
    """

    concurrency: int | None
    reason: str | None = None
    prompt_tokens: int | None = None
    context: int | None = None
    first_token: Comparison | None = None
    first_token_alone: Comparison | None = None
    per_token: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Predictor:
    """What is served on what: a model in a format on a number of GPUs."""

    model: Model
    machine: Machine
    table: TimingTable
    format: str
    gpus: int = 1
    kv: str = "fp16"

    def predict(self, load: ServedLoad) -> Prediction:
        """The prediction for the load's concurrency and mean lengths."""
        prompt, output = load.mean_prompt_tokens, load.mean_output_tokens
        if load.concurrency is None:
            return Prediction(concurrency=None, reason="requests came at a rate, which fixes no batch")
        if not prompt or output is None:
            return Prediction(concurrency=load.concurrency, reason="no request completed")
        whole = round(prompt + output)
        reason = self._impossible(load.concurrency, whole)
        if reason is not None:
            return Prediction(concurrency=load.concurrency, reason=reason)
        tokens, context = round(prompt), round(prompt + output / 2)
        together = self._step(prefill, load.concurrency, tokens)
        step = self._step(decode_step, load.concurrency, context)
        return Prediction(
            concurrency=load.concurrency,
            prompt_tokens=tokens,
            context=context,
            first_token=_comparison(load.first_token.median_ns if load.first_token else None, together),
            first_token_alone=_comparison(None, self._step(prefill, 1, tokens)),
            per_token=_comparison(load.per_token.median_ns if load.per_token else None, step),
        )

    @property
    def _timer(self) -> Timer:
        return Timer(self.machine, self.table, Assumptions())

    def _impossible(self, batch: int, context: int) -> str | None:
        """Why the machine cannot serve the batch at once, by the advisor's own rules."""
        longest = self.model.max_context
        if longest is not None and context > longest:
            return f"{context} tokens are beyond the context of {longest} of {self.model.id}"
        request = AdviceOptions(context=context, formats=(self.format,), gpu_counts=(self.gpus,), kv=self.kv)
        option = OptionEvaluator(self.model, request, self._timer, None).evaluate(self.format, self.gpus)
        if option.decode is None:
            return option.reasons[0]
        if batch > option.memory.sequences:
            return f"memory holds {option.memory.sequences} sequences of {context} tokens: others would wait"
        return None

    def _step(self, kind: Callable[..., Step], batch: int, context: int) -> Step:
        scheme, kv = choice(self.format), kv_format(self.kv)
        return kind(self.model, scheme, kv, batch=batch, context=context, ways=self.gpus, timer=self._timer)


def _comparison(measured_ns: float | None, step: Step) -> Comparison:
    measured_s = None if measured_ns is None else measured_ns / 1e9
    return Comparison(measured_s=measured_s, predicted=step.total, linear=step.linear_words)
