"""The shipped judging code on runs of a simulated world: learning, screen, A/B, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.distributions import Array
from quantroof.errors import ExitCode
from quantroof.gate.baseline import SCHEMA, AnchorBand, Baseline
from quantroof.gate.contract import contract_of
from quantroof.gate.criteria import Criteria, Verdicts
from quantroof.gate.judge import screen_run
from quantroof.gate.learning import bands_of
from quantroof.gate.policy import Policy
from quantroof.gate.second import decided_by_ab, verdicts_after_remeasuring
from quantroof.gate.times import ANCHORS, Anchoring, Key, RunTimes
from quantroof.gate.verdicts import exit_code
from quantroof.records.directory import Run
from quantroof.records.lines import AnchorName
from tests.builders import gpu_device, info, run
from tests.gate.made import case_id
from tests.gate.world import Batch, World

PROCESSES, SAMPLES, PAIRS, HISTORY = 5, 6, 10, 20
_FOLLOWS: dict[float, dict[AnchorName, float]] = {
    1.0: {"gemm": 1.0}, 0.0: {"copy": 1.0}, 0.5: {"gemm": 0.5, "copy": 0.5},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check did. Masks are over cases; `launches` counts the processes of its second measurement."""

    slower: NDArray[np.bool_]
    code: ExitCode
    code_without_base: ExitCode
    suspects: int
    launches: int


@dataclass
class Trial:
    """A world whose baseline has been learned."""

    world: World
    criteria: Criteria = field(init=False)

    def __post_init__(self) -> None:
        runs = [self._run(self._day()) for _ in range(HISTORY)]
        origin: dict[AnchorName, float] = dict.fromkeys(ANCHORS, 0.0)
        weights = {key: _FOLLOWS[mix] for key, mix in zip(_keys(), self.world.mix[:, 0], strict=True)}
        baseline = Baseline(
            schema=SCHEMA,
            contract=contract_of(runs[-1]),
            simulated=False,
            runs=(),
            anchors={name: AnchorBand(ns=1.0, scale=0.01, may_move=0.01) for name in ANCHORS},
            kernels={},
            cases=bands_of(list(_keys()), runs, origin, weights, PAIRS),
        )
        self.criteria = Criteria.of(baseline, Policy(), PAIRS)

    def _day(self) -> Batch:
        self.world.next_day()
        return self.world.measure(PROCESSES, SAMPLES)

    def check(self, slowdown: Array | None = None) -> Outcome:
        """Judge today's code, with and without a base build."""
        times = self._run(self.world.measure(PROCESSES, SAMPLES, slowdown))
        screening = screen_run(self.criteria, times)
        launches: list[int] = []

        def pairs(keys: list[Key], count: int) -> Mapping[Key, Array]:
            launches.append(2 * count)
            step = np.arange(2 * count) % 4
            after = (step == 1) | (step == 2)  # A B B A
            batch = self.world.measure(2 * count, SAMPLES, slowdown, _indices(keys), after)
            medians = np.median(batch.log_times, axis=2)
            return dict(zip(keys, medians[:, after] - medians[:, ~after], strict=True))

        verdicts = alone = screening.verdicts
        if keys := screening.suspects:
            verdicts = verdicts | decided_by_ab(self.criteria, screening, keys, pairs)
            again = self._run(self.world.measure(PAIRS, SAMPLES, slowdown, _indices(keys)), keys)
            alone = alone | verdicts_after_remeasuring(self.criteria, screening, keys, again)
        return Outcome(_slower(verdicts), _code(verdicts), _code(alone), len(keys), sum(launches))

    def detectable(self) -> Array:
        """The slowdown of every case that the gate claims to find."""
        return np.array([self.criteria.detectable[key] for key in _keys()])

    def _run(self, batch: Batch, keys: list[Key] | None = None) -> RunTimes:
        """A batch as the gate reads a run."""
        medians = np.median(batch.log_times, axis=2)
        names = _keys() if keys is None else keys
        made = _template()
        level = {p: {"gemm": float(a), "copy": float(b)} for p, (a, b) in enumerate(batch.anchors)}
        return RunTimes(
            run=made,
            device=made.info.devices[0],
            log_ns={key: dict(enumerate(map(float, row))) for key, row in zip(names, medians, strict=True)},
            anchoring=Anchoring(level, {}),  # type: ignore[arg-type]  # the names are anchors
            unmeasured={},
            clock_moved=Counter(),
            impossible={},
            above_roof={},
        )


@lru_cache
def _keys(cases: int = 200) -> tuple[Key, ...]:
    return tuple((case_id(m + 1), "torch.bf16") for m in range(cases))


@lru_cache
def _numbers() -> dict[Key, int]:
    return {key: number for number, key in enumerate(_keys())}


@lru_cache
def _template() -> Run:
    return run(info([gpu_device()], run_id="trial"), [])


def _indices(keys: list[Key]) -> NDArray[np.intp]:
    return np.array([_numbers()[key] for key in keys])


def _slower(verdicts: Verdicts) -> NDArray[np.bool_]:
    return np.array([verdicts[key].verdict == "slower" for key in _keys()])


def _code(verdicts: Verdicts) -> ExitCode:
    return exit_code(verdicts.values(), allow_undecided=False)
