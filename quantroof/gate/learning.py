"""Learn a baseline from runs of unchanged code: the bands of every case and of the anchors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.analysis.processes import low_process
from quantroof.analysis.spread import moderated_spreads
from quantroof.errors import UsageError
from quantroof.gate import baseline as files
from quantroof.gate.anchor_weights import AnchorWeights, Weights, follows_of
from quantroof.gate.band import DEFAULT_THRESHOLD, learn, process_spread
from quantroof.gate.baseline import MIN_RUNS, AnchorBand, Baseline, CaseBand
from quantroof.gate.contract import contract_of, machine_breaches, require_same_method
from quantroof.gate.times import ANCHORS, MIN_PROCESSES, Key, RunTimes
from quantroof.records.lines import AnchorName

MAX_RUNS = 20
# An anchor may move at least this much within a process: clocks and timers do on any machine.
MAY_MOVE = 0.01
_MOVE_SPREADS = 4.0
_SIGNIFICANT = 6
COLLECT = "collect with quantroof run --processes 5 --anchors"


def learn_baseline(runs: Sequence[RunTimes], pairs: int) -> Baseline:
    """Learn from the latest 20 runs. UsageError if they are too few, without anchors, or differ in method.

    `pairs` is the number of pairs of processes in an A/B: it determines what is detectable.
    """
    if len(runs) < MIN_RUNS:
        raise UsageError(f"a baseline needs {MIN_RUNS} runs or more, not {len(runs)}", hint=COLLECT)
    ordered = sorted(runs, key=lambda times: times.run.info.started_at)[-MAX_RUNS:]
    _require_alike(ordered)
    latest = ordered[-1]
    origin = _origin(ordered)
    return Baseline(
        schema=files.SCHEMA,
        contract=contract_of(latest),
        simulated=latest.run.info.simulated,
        runs=tuple(times.run.info.run_id for times in ordered),
        anchors={name: _anchor_band(name, ordered, origin[name]) for name in ANCHORS},
        kernels=dict(latest.run.info.kernel_sources),
        cases=_cases(ordered, origin, pairs),
    )


def left_out(runs: Sequence[RunTimes], baseline: Baseline) -> dict[str, str]:
    """Timed cases that are not in the baseline because their times are impossible or above the roof."""
    doubted = {key: text for times in runs for key, text in (times.impossible | times.above_roof).items()}
    names = {files.join_name(key): text for key, text in doubted.items()}
    return {name: text for name, text in sorted(names.items()) if name not in baseline.cases}


def anchor_limit(moved: Sequence[float]) -> float:
    """How far an anchor may move within a process, learned from how far it did; at least one percent.

    Four standard deviations by the median move (0.6745 of one where the noise is normal), or twice the 95th
    percentile on a machine whose noise has longer tails.
    """
    spread = median(moved) / 0.6745
    return max(MAY_MOVE, _MOVE_SPREADS * spread, 2 * float(np.quantile(moved, 0.95)))


def rounded(value: float) -> float:
    """Six significant digits, which a reviewer can read."""
    return float(f"{value:.{_SIGNIFICANT}g}")


def _require_alike(runs: Sequence[RunTimes]) -> None:
    if len({times.run.info.run_id for times in runs}) < len(runs):
        raise UsageError("a run is named twice", hint="name each run once")
    seeds = {times.run.info.options.seed for times in runs if times.run.info.simulated}
    if seeds and len(seeds) < len(runs):
        raise UsageError("simulated runs with the same seed are copies of each other", hint="vary --seed")
    agreed = contract_of(runs[0])
    for times in runs:
        where = str(times.run.path)
        if not times.anchored:
            raise UsageError("it has no anchors in some process", where=where, hint=COLLECT)
        if times.processes < MIN_PROCESSES:
            what = f"it measured in {times.processes} processes, a gate needs {MIN_PROCESSES} or more"
            raise UsageError(what, where=where, hint=COLLECT)
        require_same_method(agreed, contract_of(times), where)
        if breaches := machine_breaches(agreed, contract_of(times)):
            raise UsageError(f"it differs from the first run: {'; '.join(breaches)}", where=where)


def _origin(runs: Sequence[RunTimes]) -> dict[AnchorName, float]:
    return {name: median(times.anchor_level()[name] for times in runs) for name in ANCHORS}


def _anchor_band(name: AnchorName, runs: Sequence[RunTimes], origin: float) -> AnchorBand:
    levels = np.array([[times.anchor_level()[name]] for times in runs])
    moves = [moved[name] for times in runs for moved in times.anchoring.moved.values()]
    scale = float(moderated_spreads(levels)[0])
    return AnchorBand(
        ns=rounded(math.exp(origin)), scale=rounded(scale), may_move=rounded(anchor_limit(moves))
    )


def _cases(runs: Sequence[RunTimes], origin: dict[AnchorName, float], pairs: int) -> dict[str, CaseBand]:
    """Bands of the cases that enough runs have; cases with the same runs are learned together."""
    anchor_weights = AnchorWeights(runs[-1])
    groups: dict[tuple[int, ...], list[Key]] = {}
    for key in sorted({key for times in runs for key in times.log_ns}):
        indices = tuple(i for i, times in enumerate(runs) if _teaches(times, key))
        if len(indices) >= MIN_RUNS:
            groups.setdefault(indices, []).append(key)
    if not groups:
        hint = "runs of one suite on one device, each made with --anchors"
        raise UsageError(f"no case has a time in {MIN_RUNS} of these {len(runs)} runs", hint=hint)
    bands: dict[str, CaseBand] = {}
    for indices, keys in groups.items():
        weights = {key: anchor_weights.weights(key[0]) for key in keys}
        bands |= bands_of(keys, [runs[i] for i in indices], origin, weights, pairs)
    return bands


def _teaches(times: RunTimes, key: Key) -> bool:
    """Whether a run measured a case often enough, and below its roof."""
    return len(times.log_ns.get(key, {})) >= MIN_PROCESSES and key not in times.above_roof


def bands_of(
    keys: list[Key],
    runs: Sequence[RunTimes],
    origin: dict[AnchorName, float],
    weights: dict[Key, Weights],
    pairs: int,
) -> dict[str, CaseBand]:
    """The bands of cases that all of these runs have, with anchors at `origin`."""
    values = {key: [times.values(key, weights[key], origin)[None, :] for times in runs] for key in keys}
    history: Array = np.array([[low_process(values[key][i])[0] for key in keys] for i in range(len(runs))])
    process = np.array([process_spread(values[key])[0] for key in keys])
    bands = learn(history, process)
    threshold = np.full(len(keys), math.log1p(DEFAULT_THRESHOLD))
    detectable = np.expm1(bands.detectable(pairs, threshold))
    return {
        files.join_name(key): CaseBand(
            ns=rounded(math.exp(bands.center[i])),
            scale=rounded(float(bands.scale[i])),
            process=rounded(float(bands.process[i])),
            detectable=rounded(float(detectable[i])),
            runs=len(runs),
            follows=follows_of(weights[key]),
        )
        for i, key in enumerate(keys)
    }
