"""Compare several GPUs: the best option of each, by price or by tokens per second per GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from quantroof.advisor.advice import FITTING, AdviceOptions, Option
from quantroof.advisor.cost import Price
from quantroof.advisor.decision import check_context
from quantroof.advisor.linear_time import Timer
from quantroof.advisor.machine import Machine
from quantroof.advisor.models import Model
from quantroof.advisor.options import OptionEvaluator
from quantroof.advisor.proposals import proposed
from quantroof.advisor.ranking import ranked
from quantroof.advisor.timings import TimingTable

# What is tried on each GPU unless formats are named: 16 bit, 8 bit on load, and the common 4-bit checkpoint.
_TRIED = ("bf16", "fp8-w8a8", "int8-w8a16", "int4-w4a16", "nvfp4-w4a4")


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU: the option that comes first there, or the reason why there is none."""

    gpu: str
    option: Option | None = None
    reason: str | None = None

    @property
    def tokens_per_gpu(self) -> float:
        """Tokens per second and GPU, 0 where nothing fits."""
        option = self.option
        return 0.0 if option is None else (option.tokens_per_s or 0.0) / option.gpus


def compare(
    model: Model, machines: Sequence[Machine], request: AdviceOptions, prices: Mapping[str, Price]
) -> tuple[Compared, ...]:
    """Each GPU with the smallest deployment of each format that fits; the cheapest tokens first.

    GPUs without a price follow by tokens per second and GPU, those that hold nothing come last.
    """
    check_context(model, request)
    rows = [_best(model, machine, request, prices.get(machine.id)) for machine in machines]
    return tuple(sorted(rows, key=_order))


def _order(row: Compared) -> tuple[float, ...]:
    if row.option is None:
        return 2.0, 0.0
    cost = row.option.usd_per_million_tokens
    return (1.0, -row.tokens_per_gpu) if cost is None else (0.0, cost)


def _best(model: Model, machine: Machine, request: AdviceOptions, price: Price | None) -> Compared:
    kv = request.kv_choices[-1] if request.kv_choices and machine.multiplies_fp8 else request.kv
    own = msgspec.structs.replace(request, kv=kv)
    evaluator = OptionEvaluator(
        model, own, Timer(machine, TimingTable(), own.assumptions), price, steady=False
    )
    options = [_smallest(evaluator, name) for name in _formats(model, machine, request)]
    first = ranked(options, own, model)[0]
    if first.verdict in FITTING:
        return Compared(gpu=machine.id, option=first)
    return Compared(gpu=machine.id, reason=first.reasons[0])


def _formats(model: Model, machine: Machine, request: AdviceOptions) -> tuple[str, ...]:
    if request.formats:
        return request.formats
    names = proposed(model, machine)
    return tuple(name for name in names if name in _TRIED) if model.native_format is None else names


def _smallest(evaluator: OptionEvaluator, name: str) -> Option:
    """The option on the fewest GPUs that fits, else that on the most."""
    for gpus in sorted(evaluator.request.gpu_counts):
        option = evaluator.evaluate(name, gpus)
        if option.verdict in FITTING:
            break
    return option
