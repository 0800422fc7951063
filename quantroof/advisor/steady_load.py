"""A steady load: what a request sees while others are served with it, the prompts of the others included.

With `batch` requests in flight that generate `output` tokens each, (batch - 1) / output prompts of others are
read per token of a request. Engines read a prompt in the same step as the tokens of the others, so a prompt
costs what it adds to such a step.
"""

from __future__ import annotations

import msgspec

from quantroof.advisor.bands import band_of
from quantroof.advisor.estimate import Estimate, total
from quantroof.advisor.linear_time import Timer
from quantroof.advisor.models import Model
from quantroof.advisor.step import Step, decode_step, mixed_step, prefill
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import Scheme

# Requests of one length end together, so that new prompts come in bunches: in one bunch of all, a prompt
# waits for half of the others on average. Of the shares 0.05, 0.1, ... 1 of that wait, this one has the least
# median error over the calibration points.
QUEUED = 0.25


class SteadyLoad(msgspec.Struct, frozen=True, kw_only=True):
    """`batch` requests at once, `prompt` tokens in and `output` tokens out each.

    `per_token` is a decode step at the mean context with the others' prompts; `first_token` is the prompt
    alone, `loaded_first_token` waits for the step under way and for prompts of others that came before it.
    """

    batch: int
    prompt: int
    output: int
    decode: Step
    per_token: Estimate
    first_token: Estimate
    loaded_first_token: Estimate

    @property
    def tokens_per_s(self) -> float:
        """Generated tokens per second of all requests."""
        return self.batch / self.per_token.seconds

    @property
    def prompt_share(self) -> float:
        """Share of the time per token that the others' prompts take."""
        return 1 - self.decode.total.seconds / self.per_token.seconds


def steady_load(
    model: Model,
    scheme: Scheme,
    kv: Format,
    *,
    batch: int,
    prompt: int,
    output: int,
    ways: int,
    timer: Timer,
) -> SteadyLoad:
    """The load of `batch` requests of one length, each at its own token."""
    context = prompt + output // 2
    decode = decode_step(model, scheme, kv, batch=batch, context=context, ways=ways, timer=timer)
    mixed = mixed_step(model, scheme, kv, batch=batch, context=context, prompt=prompt, ways=ways, timer=timer)
    alone = prefill(model, scheme, kv, batch=1, context=prompt, ways=ways, timer=timer)
    return SteadyLoad(
        batch=batch,
        prompt=prompt,
        output=output,
        decode=decode,
        per_token=_per_token(model, decode, mixed, (batch - 1) / output),
        first_token=alone.total,
        loaded_first_token=_loaded(model, alone.total, decode, mixed, batch),
    )


def _loaded(model: Model, alone: Estimate, decode: Step, mixed: Step, batch: int) -> Estimate:
    """The prompt alone; with others, the step under way and what a share of half their prompts adds."""
    if batch == 1:
        return alone
    added = max(mixed.total.seconds - decode.total.seconds, 0.0)
    waits = decode.total.seconds + QUEUED * (batch - 1) / 2 * added
    seconds = alone.seconds + waits
    low, high = band_of("first token under load", model.moe is not None, 0.0, decode.total.seconds)
    return msgspec.structs.replace(alone, seconds=seconds, low=seconds * low, high=seconds * high)


def _per_token(model: Model, decode: Step, mixed: Step, prompts: float) -> Estimate:
    """A decode step and what `prompts` prompts add to it, with the band of their share."""
    parts = [
        _with_prompts(plain.estimate, full.estimate, prompts)
        for plain, full in zip(decode.parts, mixed.parts, strict=True)
    ]
    seconds = sum(part.seconds for part in parts)
    share = 1 - decode.total.seconds / seconds
    band = band_of("per token", model.moe is not None, share, decode.total.seconds)
    return total(part.banded(*band) for part in parts)


def _with_prompts(plain: Estimate, full: Estimate, prompts: float) -> Estimate:
    """One part of a step with its share of what `prompts` prompts add; its band grows in proportion."""
    added = prompts * max(full.seconds - plain.seconds, 0.0)
    weaker = total([plain, full]).source if added else plain.source
    grown = 1 + added / plain.seconds
    floor = None
    if plain.floor is not None and full.floor is not None:
        floor = plain.floor + prompts * max(full.floor - plain.floor, 0.0)
    return msgspec.structs.replace(
        plain,
        seconds=plain.seconds * grown,
        low=plain.low * grown,
        high=plain.high * grown,
        floor=floor,
        source=weaker,
    )
