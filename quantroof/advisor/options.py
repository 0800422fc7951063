"""One option: a format on a number of GPUs, judged against the targets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from quantroof.advisor.advice import AdviceOptions, Fit, Option
from quantroof.advisor.caveats import cannot_run, caveats
from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.cost import Price, usd_per_million_tokens, usd_per_month
from quantroof.advisor.engine_limits import cut_refused
from quantroof.advisor.linear_time import Timer
from quantroof.advisor.memory import KV_BLOCK_TOKENS, MemoryFit, memory_fit
from quantroof.advisor.models import Model
from quantroof.advisor.steady_load import SteadyLoad, steady_load
from quantroof.advisor.step import Step, decode_step, prefill


@dataclass(frozen=True)
class OptionEvaluator:
    """Judges options of one model on one machine."""

    model: Model
    request: AdviceOptions
    timer: Timer
    price: Price | None
    steady: bool = True
    """Whether to predict a steady load of each option as well, which takes three more steps."""
    _steps: dict[tuple[str, int, int], Step] = field(default_factory=dict)

    def evaluate(self, name: str, gpus: int) -> Option:
        """The largest batch that memory and targets allow, with its speed and cost, or why it is rejected."""
        memory = self._memory(name, gpus, self.request.context)
        impossible = self._impossible(name, gpus, memory)
        if impossible is not None:
            return Option(
                format=name,
                kv=self.request.kv,
                gpus=gpus,
                verdict="misses",
                reasons=(impossible,),
                memory=memory,
            )
        most = min(memory.sequences, self.request.max_batch)
        surely = self._largest_batch(name, gpus, most, whole_band=True)
        batch = self._largest_batch(name, gpus, most, whole_band=False)
        if batch is None or not self._saves_replicas(name, gpus, surely, batch):
            batch = surely or batch
        decode = self.decode(name, gpus, batch or 1)
        prompt = self._prefill(name, gpus)
        reasons = tuple(self._missed(decode, prompt, batch))
        option = Option(
            format=name,
            kv=self.request.kv,
            single=self.decode(name, gpus, 1).total,
            gpus=gpus,
            verdict=self._fit(prompt, surely=surely is not None and surely == batch)
            if not reasons
            else "misses",
            reasons=reasons,
            caveats=caveats(
                choice(name), self.timer.machine, self.model, decode, batch=batch or 1, gpus=gpus
            ),
            memory=memory,
            batch=batch,
            decode=decode,
            prefill=prompt,
        )
        return option if reasons or batch is None else self._with_load(option, batch, decode)

    def _saves_replicas(self, name: str, gpus: int, surely: int | None, likely: int) -> bool:
        """Whether the batch that likely holds the target serves the load on fewer replicas."""
        needed = self.request.tokens_per_s
        if needed is None or surely is None:
            return False
        rates = [b / self.decode(name, gpus, b).total.seconds for b in (surely, likely)]
        return math.ceil(needed / rates[1]) < math.ceil(needed / rates[0])

    def longest_context(self, name: str, gpus: int) -> int:
        """The longest single sequence that fits, in whole pages of the cache; 0 where not one page does."""
        low, high = 0, self.request.context // KV_BLOCK_TOKENS + 1
        while high - low > 1:
            middle = (low + high) // 2
            fits = self._memory(name, gpus, middle * KV_BLOCK_TOKENS).sequences > 0
            low, high = (middle, high) if fits else (low, middle)
        return low * KV_BLOCK_TOKENS

    def _memory(self, name: str, gpus: int, context: int) -> MemoryFit:
        memory, kv = self.timer.machine.memory_bytes, kv_format(self.request.kv)
        return memory_fit(self.model, choice(name), kv, context, memory, gpus, self.request.reserve)

    def decode(self, name: str, gpus: int, batch: int) -> Step:
        """A decode step at the asked context."""
        if (name, gpus, batch) not in self._steps:
            kv, context = kv_format(self.request.kv), self.request.context
            self._steps[name, gpus, batch] = decode_step(
                self.model, choice(name), kv, batch=batch, context=context, ways=gpus, timer=self.timer
            )
        return self._steps[name, gpus, batch]

    def _prefill(self, name: str, gpus: int) -> Step:
        kv, context = kv_format(self.request.kv), self.request.context
        return prefill(self.model, choice(name), kv, batch=1, context=context, ways=gpus, timer=self.timer)

    def _impossible(self, name: str, gpus: int, memory: MemoryFit) -> str | None:
        machine = self.timer.machine
        if name in self.timer.table.without_kernel:
            return f"no kernel makes {name} on {machine.name}"
        missing = cannot_run(choice(name), machine)
        if missing is not None:
            return missing
        if gpus > 1 and machine.link is None:
            return f"no link between GPUs is known for {machine.id} (state one with --link-gbps)"
        if gpus > 1 and machine.link and machine.link.joins and gpus > machine.link.joins:
            return f"{machine.link.kind} joins {machine.link.joins} of {machine.id}, not {gpus}"
        refused = cut_refused(self.model, choice(name), gpus)
        if refused is not None:
            return refused
        if memory.sequences > 0:
            return None
        needed = memory.usable - memory.left_for_kv + memory.kv_per_sequence
        what = (
            "the weights do"
            if memory.left_for_kv < 0
            else f"one sequence of {self.request.context} tokens does"
        )
        return f"{what} not fit: {needed / 1e9:.1f} GB needed per GPU, {memory.usable / 1e9:.1f} usable"

    def _fit(self, prompt: Step, *, surely: bool) -> Fit:
        """How an option that misses nothing by its estimates fits by its bands."""
        if self.timer.table.unusable is not None:
            return "unknown"
        first = self.request.first_token_s
        return "meets" if surely and (first is None or prompt.total.high <= first) else "likely"

    def _largest_batch(self, name: str, gpus: int, most: int, *, whole_band: bool) -> int | None:
        """Largest batch within the latency, by the upper end of the band or by the estimate.

        Measured dips can break the order, so every doubling is tried.
        """
        target = self.request.latency_s
        if target is None:
            return most

        def holds(batch: int) -> bool:
            total = self.decode(name, gpus, batch).total
            return (total.high if whole_band else total.seconds) <= target

        low, high = 0, most + 1
        if self.timer.table.points:
            good = max((b for b in _doublings(most) if holds(b)), default=None)
            if good is None or good == most:
                return good
            low, high = good, min(2 * good, most + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        return low or None

    def _missed(self, decode: Step, prompt: Step, batch: int | None) -> Iterable[str]:
        target, first = self.request.latency_s, self.request.first_token_s
        if batch is None and target is not None:
            took = decode.total.seconds
            yield f"a token takes {took * 1e3:.1f} ms at batch 1, the target is {target * 1e3:g} ms"
        if first is not None and prompt.total.seconds > first:
            took = prompt.total.seconds
            yield f"the first token takes {took * 1e3:.0f} ms, the target is {first * 1e3:g} ms"

    def _with_load(self, option: Option, batch: int, decode: Step) -> Option:
        """Throughput, replicas for the daily tokens, and cost at that load."""
        speed = batch / decode.total.seconds
        needed = self.request.tokens_per_s
        replicas = 1 if needed is None else max(1, math.ceil(needed / speed))
        load = None if needed is None else self._load_batch(option, batch, needed / replicas)
        served = speed if needed is None else needed / replicas
        joules = None if decode.joules is None else decode.joules * option.gpus / batch
        option = msgspec.structs.replace(
            option,
            load=self._steady_load(option.format, option.gpus, batch) if self.steady else None,
            tokens_per_s=speed,
            replicas=replicas,
            load_batch=load,
            joules_per_token=joules,
        )
        if self.price is None:
            return option
        gpus = option.gpus * replicas
        return msgspec.structs.replace(
            option,
            usd_per_month=usd_per_month(self.price, gpus),
            usd_per_million_tokens=usd_per_million_tokens(self.price, option.gpus, served),
        )

    def _steady_load(self, name: str, gpus: int, batch: int) -> SteadyLoad:
        output = self.request.output_tokens
        return steady_load(
            self.model,
            choice(name),
            kv_format(self.request.kv),
            batch=batch,
            prompt=max(1, self.request.context - output),
            output=output,
            ways=gpus,
            timer=self.timer,
        )

    def _load_batch(self, option: Option, most: int, needed: float) -> int:
        """The smallest batch that already serves the load of one replica."""
        for batch in _doublings(most):
            if batch / self.decode(option.format, option.gpus, batch).total.seconds >= needed:
                return batch
        return most


def _doublings(most: int) -> list[int]:
    """1, 2, 4, ... and the largest itself."""
    return sorted({min(2**i, most) for i in range(most.bit_length() + 1)})
