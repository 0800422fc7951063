"""Decode throughput of a model in a format: prefill apart from decode, median with interval, per batch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import torch

from quantroof.analysis.statistics import Interval, median_interval
from quantroof.bench.timing.sampling import StoppingRule
from quantroof.hwprofiles.nvml import Board
from quantroof.quality.decode.models import Loaded
from quantroof.quality.decode.stepping import Stepper
from quantroof.records.lines import StoppedBy

_ENERGY_LEAST_S = 1.0  # the counter of a GPU steps every 20 to 100 ms
_PREFILLS = 3
_LEAST_BLOCKS = 3  # whatever the time limit says: a single block has no interval


@dataclass(frozen=True, slots=True)
class Workload:
    """What is decoded: `batch` sequences with a prompt of `prompt` tokens, `tokens` new ones each."""

    batch: int
    prompt: int = 128
    tokens: int = 32


@dataclass(frozen=True, slots=True)
class Throughput:
    """Times of one format and workload; rates are derived. `step_ns` holds the mean step of each block.

    `bytes_a_step` is the compulsory traffic: weights with their scales, and the cache so far.
    """

    format: str
    workload: Workload
    prefill_ns: tuple[float, ...]
    step_ns: tuple[float, ...]
    stopped_by: StoppedBy
    bytes_a_step: int
    graph: str
    joules_a_token: float | None
    kind: Literal["decode"] = "decode"

    @property
    def step(self) -> Interval:
        """Median nanoseconds per step."""
        return median_interval(self.step_ns)

    @property
    def tokens_per_s(self) -> float:
        """New tokens per second, all sequences together."""
        return self.workload.batch * 1e9 / self.step.median

    @property
    def bytes_per_s(self) -> float:
        """Achieved bandwidth."""
        return self.bytes_a_step * 1e9 / self.step.median

    @property
    def prefill_tokens_per_s(self) -> float:
        """Prompt tokens per second, all sequences together."""
        return self.workload.batch * self.workload.prompt * 1e9 / median_interval(self.prefill_ns).median


def measure(loaded: Loaded, workload: Workload, rule: StoppingRule, device: str) -> Throughput:
    """Prefill a few times, then decode blocks of a fixed token count until the stopping rule ends it.

    On a GPU with an energy counter it takes at least as long as that counter needs.
    """
    stepper = Stepper(loaded.model, workload.batch, workload.prompt, workload.tokens, device)
    prefill = tuple(stepper.prefill_s() * 1e9 for _ in range(_PREFILLS))
    stepper.decode_s(workload.tokens)  # the first block warms caches and clocks; it is not a sample
    steps: list[float] = []
    meter = _Energy(device)
    start = time.perf_counter()
    stopped: StoppedBy | None = None
    while stopped is None:
        steps.append(stepper.decode_s(workload.tokens) * 1e9)
        if len(steps) >= _LEAST_BLOCKS:
            stopped = rule.stopped_by(steps, time.perf_counter() - start)
        if not meter.long_enough(time.perf_counter() - start):
            stopped = None
    joules = meter.joules()
    tokens = len(steps) * workload.tokens * workload.batch
    return Throughput(
        format=loaded.format,
        workload=workload,
        prefill_ns=prefill,
        step_ns=tuple(steps),
        stopped_by=stopped,
        bytes_a_step=loaded.weight_bytes + stepper.kv_bytes(workload.tokens),
        graph=stepper.graph,
        joules_a_token=None if joules is None else joules / tokens,
    )


class _Energy:
    """The total-energy counter of a GPU from now on; None on a CPU, without NVML, or below a second.

    It is the energy of the whole board, idle power included.
    """

    def __init__(self, device: str) -> None:
        self._board = None
        if device.startswith("cuda"):
            uuid = torch.cuda.get_device_properties(device).uuid  # torch leaves NVML's prefix away
            self._board = Board.open(f"GPU-{uuid}")
        self._before = self._millijoules()
        self._start = time.perf_counter()

    def long_enough(self, elapsed_s: float) -> bool:
        """Whether the counter has stepped often enough; there is nothing to wait for without one."""
        return self._before is None or elapsed_s >= _ENERGY_LEAST_S

    def joules(self) -> float | None:
        """Energy since the start."""
        after = self._millijoules()
        if self._before is None or after is None:
            return None
        if not self.long_enough(time.perf_counter() - self._start):
            return None
        return (after - self._before) / 1e3

    def _millijoules(self) -> float | None:
        return None if self._board is None else self._board.counters().energy_mj
