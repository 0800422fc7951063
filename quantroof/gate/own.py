"""What `quantroof gate` does by itself: its own baseline runs, one run of the candidate, and the check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from quantroof.errors import EnvironmentMissing, QuantroofError, UsageError
from quantroof.gate import baseline as files
from quantroof.gate.baseline import MIN_RUNS, Baseline
from quantroof.gate.calibrate import calibrate
from quantroof.gate.check import CheckOptions, Report, check
from quantroof.gate.environment import findings
from quantroof.gate.policy import OwnRuns, Policy
from quantroof.gate.remeasure import Progress
from quantroof.gate.revisions import git, merge_base
from quantroof.gate.sides import Side, base_of_revision, candidate
from quantroof.gate.start import Start, start_process
from quantroof.gate.times import RunTimes, run_times
from quantroof.hwprofiles.simulated import CODE_FAULTS
from quantroof.hwprofiles.types import Device
from quantroof.kernels.calls.call import Call
from quantroof.records.directory import read_run

_FIRST_SEED = 1000


@dataclass(frozen=True, slots=True)
class Own:
    """A gate's own work: what to run on which device, in which folder, against which revision."""

    policy: Policy
    run: OwnRuns
    device: Device
    device_text: str
    calls: tuple[Call, ...]
    folder: Path
    base: str | None
    only: frozenset[str] = frozenset()
    """`case [kernel]` lines: with any, the candidate is measured and judged in these alone."""
    start: Start = start_process

    @property
    def baseline_file(self) -> Path:
        """One file per kind of device."""
        name = re.sub(r"[^a-z0-9]+", "-", self.device.name.lower()).strip("-")
        return Path(self.run.baselines) / f"{name}.json"


def base_revision(branch: str | None) -> str | None:
    """The revision that a change started from; None if nothing differs from it or no branch exists.

    UsageError for a branch that is not here.
    """
    if branch is None:
        return None
    base = merge_base(branch)
    unchanged = base == git("rev-parse", "HEAD") and not git("status", "--porcelain", "-uno")
    return None if unchanged else git("rev-parse", "--short=12", base)


def own_check(own: Own, progress: Progress) -> Report:
    """Collect the baseline where there is none, run the candidate, and judge it."""
    ours = candidate((), own.calls)
    with _base(own) as base:
        baseline, name = _baseline(own, base or ours, progress)
        progress(f"measuring the candidate in {own.run.processes} processes")
        times = _measured(own, ours, own.folder / "candidate", 0, _list(own))
        return check(
            CheckOptions(
                times=times,
                baseline=baseline,
                baseline_name=name,
                policy=own.policy,
                policy_name="policy",
                pairs=own.run.pairs,
                keep=_unused(own.folder / "second"),
                only=own.only,
                base=base,
                start=own.start,
            ),
            progress,
        )


@contextmanager
def _base(own: Own) -> Iterator[Side | None]:
    if own.base is None:
        yield None
        return
    with base_of_revision(own.base, (), own.calls) as side:
        yield side


def _baseline(own: Own, side: Side, progress: Progress) -> tuple[Baseline, str]:
    """The base revision's file, else the one on disk, else one that is learned now from the base's code."""
    file = own.baseline_file
    if own.base is not None:
        try:
            text = git("show", f"{own.base}:./{file}")
            return files.parse(text.encode(), str(file)), f"{file} of {own.base[:12]}"
        except UsageError:
            progress(f"{file} is not in the base revision")
    if file.is_file():
        return files.read(file), str(file)
    runs = list(_collected(own, side, progress))
    learned = calibrate(runs, own.run.pairs, own.policy.environment).baseline
    files.write(learned, file)
    progress(f"learned {file} from {len(runs)} runs of {side.name}: commit it, and later jobs start with it")
    return learned, str(file)


def _collected(own: Own, side: Side, progress: Progress) -> Iterator[RunTimes]:
    """Runs of accepted code; those of an interrupted collection count. The first unusable one ends it."""
    folder = own.folder / f"baseline-{(own.base or 'now')[:12]}"
    for number in range(MIN_RUNS):
        directory = folder / f"run-{number:02d}"
        times = _finished(directory, own)
        if times is None:
            left = MIN_RUNS - number - 1
            progress(f"baseline run {number + 1} of {MIN_RUNS} on {side.name}, {left} left after it")
            times = _measured(own, side, directory, _FIRST_SEED + number)
        unusable = findings(times, None, own.policy.environment)
        if unusable:
            text = "; ".join(finding.text for finding in unusable)
            raise EnvironmentMissing(f"stopped after {number + 1} of {MIN_RUNS} baseline runs: {text}")
        yield times


def _finished(directory: Path, own: Own) -> RunTimes | None:
    try:
        run = read_run(directory)
    except QuantroofError:
        return None
    return run_times(run, own.device.id) if run.complete else None


def _list(own: Own) -> list[str]:
    """The option that names the cases of the candidate's run. A baseline always has the whole suite."""
    if not own.only:
        return []
    own.folder.mkdir(parents=True, exist_ok=True)
    file = own.folder.resolve() / "cases.txt"
    file.write_text("\n".join(sorted(own.only)) + "\n", encoding="utf-8")
    return ["--cases", str(file)]


def _measured(own: Own, side: Side, directory: Path, seed: int, cases: Sequence[str] = ()) -> RunTimes:
    """One run with anchors in fresh processes, on a side."""
    out = _unused(directory.resolve())
    words = ["run", "--suite", str(Path(own.run.suite).resolve()), "--out", str(out), "--seed", str(seed)]
    words += ["--processes", str(own.run.processes), "--anchors", "--quiet", "--device", _device(own, side)]
    words += cases
    own.start(side, words if own.policy.min_roof else [*words, "--no-ceilings"])
    run = read_run(out)
    if not any(line.timing is not None for line in run.measurements):
        reason = next((line.reason for line in run.measurements if line.reason), "no case was planned")
        raise EnvironmentMissing(f"none of its cases could be measured: {reason}", where=side.name)
    return run_times(run, own.device.id)


def _unused(directory: Path) -> Path:
    """The directory, or the next number behind it that is not taken."""
    if not directory.exists():
        return directory
    others = (directory.with_name(f"{directory.name}-{number}") for number in count(1))
    return next(path for path in others if not path.exists())


def _device(own: Own, side: Side) -> str:
    """The device's text; on the base a simulated one has no fault of the code."""
    fault = own.device.injected_fault
    if side.name.startswith("base") and fault in CODE_FAULTS:
        return own.device_text.replace(f"+{fault}@{own.device.index}", "")
    return own.device_text
