"""The times that the gate uses of a run: the median of every process, and the anchors of that process."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median

import numpy as np

from quantroof.analysis.case_time import median_ns
from quantroof.analysis.distributions import Array
from quantroof.analysis.guard import ABOVE_ROOF, IMPOSSIBLE
from quantroof.analysis.winner import doubts
from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run
from quantroof.records.lines import Anchor, AnchorName, Flag, Measurement

ANCHORS: tuple[AnchorName, ...] = ("gemm", "copy")
MIN_PROCESSES = 3
CLOCK_FLAGS = ("clock_moved", "clock_trend")

Key = tuple[str, str]
"""Case id and kernel name, which identify a case of a gate. A gate judges one device."""


@dataclass(frozen=True, slots=True)
class Anchoring:
    """Log anchors by process: the mean of start and end, and the difference between the two."""

    level: dict[int, dict[AnchorName, float]]
    moved: dict[int, dict[AnchorName, float]]


@dataclass(frozen=True, slots=True)
class RunTimes:
    """One device of one run. `log_ns` holds log process medians by case and process."""

    run: Run
    device: Device
    log_ns: dict[Key, dict[int, float]]
    anchoring: Anchoring
    unmeasured: dict[Key, Measurement]
    """Records without a time, of cases that no process timed."""
    clock_moved: Counter[Key]
    """The number of processes of each case in which the clock moved."""
    impossible: dict[Key, str]
    """Why no time of a case counts: no bound of the device allows it. `log_ns` does not have it."""
    above_roof: dict[Key, str]
    """Cases that most processes measured above the roof: never faster, and never in a baseline."""

    @property
    def processes(self) -> int:
        """The number of processes of the run."""
        return max((len(by_process) for by_process in self.log_ns.values()), default=0)

    @property
    def anchored(self) -> bool:
        """Whether every process has both anchors."""
        timed = {process for by_process in self.log_ns.values() for process in by_process}
        used = timed or set(self.anchoring.level)  # nothing is timed where every time is impossible
        return bool(used) and all(set(self.anchoring.level.get(p, {})) == set(ANCHORS) for p in used)

    def without(self, processes: Collection[int]) -> RunTimes:
        """The run as if some of its processes had not been."""
        kept = {
            key: {process: value for process, value in by_process.items() if process not in processes}
            for key, by_process in self.log_ns.items()
        }
        level, moved = (
            {process: anchors for process, anchors in by_process.items() if process not in processes}
            for by_process in (self.anchoring.level, self.anchoring.moved)
        )
        log_ns = {key: by_process for key, by_process in kept.items() if by_process}
        return replace(self, log_ns=log_ns, anchoring=Anchoring(level, moved))

    def limited_to(self, keys: Collection[Key]) -> RunTimes:
        """The run as if it had no other cases; its anchors stay."""
        log_ns = {key: by_process for key, by_process in self.log_ns.items() if key in keys}
        return replace(
            self, log_ns=log_ns, impossible={k: v for k, v in self.impossible.items() if k in keys}
        )

    def anchor_level(self) -> dict[AnchorName, float]:
        """Median log anchor of the run, by name."""
        return {name: median(level[name] for level in self.anchoring.level.values()) for name in ANCHORS}

    def values(
        self, key: Key, weights: Mapping[AnchorName, float], origin: Mapping[AnchorName, float]
    ) -> Array:
        """Log ns of every process, corrected to the anchor levels in `origin`."""
        return np.array(
            [
                value - math.fsum(w * (self.anchoring.level[p][a] - origin[a]) for a, w in weights.items())
                for p, value in sorted(self.log_ns[key].items())
            ]
        )


def run_times(run: Run, device_id: str | None = None) -> RunTimes:
    """Read one device of a run. UsageError for an empty run, and for a device that is ambiguous or absent."""
    device = _device(run, device_id)
    judged = doubts(run, device)
    lines = [line for line, doubt in judged if doubt is None or doubt.code != IMPOSSIBLE]
    log_ns: dict[Key, dict[int, float]] = {}
    for line in lines:
        if line.timing is not None:
            by_process = log_ns.setdefault(_key(line), {})
            by_process[line.process] = math.log(median_ns(line.timing))
    impossible = {_key(line): f"{d.code}: {d.text}" for line, d in judged if d and d.code == IMPOSSIBLE}
    if not log_ns and not impossible:
        hint = f"`quantroof show {run.path} --failed` has the reasons"
        raise UsageError(f"no measurement of {device.id} has a time", where=str(run.path), hint=hint)
    rest = {_key(x): x for x in lines if x.timing is None and _key(x) not in log_ns}
    moved = Counter(_key(x) for x in lines if any(flag.code in CLOCK_FLAGS for flag in x.flags) and x.timing)
    return RunTimes(
        run=run,
        device=device,
        log_ns=log_ns,
        anchoring=_anchoring(run, device),
        unmeasured=rest,
        clock_moved=moved,
        impossible={key: text for key, text in impossible.items() if key not in log_ns},
        above_roof=_above_roof(judged, log_ns),
    )


def _key(line: Measurement) -> Key:
    return line.case, line.kernel


def _above_roof(
    judged: list[tuple[Measurement, Flag | None]], log_ns: dict[Key, dict[int, float]]
) -> dict[Key, str]:
    """The cases above their roof in at least half of their processes, which noise alone does not explain."""
    texts: dict[Key, list[str]] = {}
    for line, doubt in judged:
        if doubt is not None and doubt.code == ABOVE_ROOF:
            texts.setdefault(_key(line), []).append(f"{doubt.code}: {doubt.text}")
    return {key: own[0] for key, own in texts.items() if 2 * len(own) >= len(log_ns.get(key, ()))}


def _device(run: Run, device_id: str | None) -> Device:
    devices = {device.id: device for device in run.info.devices}
    names = ", ".join(devices)
    if device_id is not None and device_id not in devices:
        raise UsageError(f"it has no device '{device_id}'", where=str(run.path), hint=f"it has {names}")
    if device_id is None and len(devices) != 1:
        what = f"it has {len(devices)} devices, but a gate judges one"
        raise UsageError(what, where=str(run.path), hint=f"choose one with --device: {names}")
    return devices[device_id] if device_id is not None else next(iter(devices.values()))


def _anchoring(run: Run, device: Device) -> Anchoring:
    anchors: dict[int, dict[AnchorName, list[float]]] = {}
    for line in run.anchors:
        if line.device == device.id and line.timing is not None:
            by_name = anchors.setdefault(line.process, {})
            by_name.setdefault(line.name, []).append(math.log(median_ns(line.timing)))
    level = {p: {name: fmean(values) for name, values in by_name.items()} for p, by_name in anchors.items()}
    moved = {
        p: {
            name: max((abs(b - a) for a, b in pairwise(values)), default=0.0)
            for name, values in names.items()
        }
        for p, names in anchors.items()
    }
    return Anchoring(level, moved)


def timed_lines(times: RunTimes) -> list[Measurement | Anchor]:
    """The measurements and anchors of the device that have a time."""
    lines: list[Measurement | Anchor] = [*times.run.measurements, *times.run.anchors]
    return [line for line in lines if line.device == times.device.id and line.timing is not None]


def flag_counts(times: RunTimes) -> Counter[str]:
    """The number of measurements and anchors of the device that carry each flag."""
    device = times.device.id
    lines: list[Measurement | Anchor] = [*times.run.measurements, *times.run.anchors]
    return Counter(flag.code for line in lines if line.device == device for flag in line.flags)
