"""Second measurements: suspects in fresh processes, both sides alternating (A B B A), or one side again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.errors import EnvironmentMissing
from quantroof.gate.environment import Tolerance, findings
from quantroof.gate.sides import CANDIDATE, Side
from quantroof.gate.start import Start, start_process
from quantroof.gate.suspect_suite import suspect_suite
from quantroof.gate.times import Key, RunTimes, run_times
from quantroof.hwprofiles.simulated import CODE_FAULTS
from quantroof.records.directory import read_run

Progress = Callable[[str], None]


def turns(pairs: int, first: int = 0) -> Iterator[tuple[int, bool]]:
    """(pair, is candidate) of every process in order: A B, B A, A B... so that drift affects both sides
    equally; `first` is the number of the first pair."""
    for pair in range(first, first + pairs):
        for candidate in (False, True) if pair % 2 == 0 else (True, False):
            yield pair, candidate


class Remeasurement:
    """Measures suspects of a run again, each time by `quantroof run` in fresh processes, into a folder.

    It uses only the command line and the run file of the other side, so the base may be any version.
    """

    def __init__(
        self, times: RunTimes, folder: Path, progress: Progress, start: Start = start_process
    ) -> None:
        self._times, self._folder, self._progress = times, folder.resolve(), progress
        self._start = start
        self._disturbed: list[str] = []
        self._pairs = 0

    def pairs(self, base: Side, candidate: Side, keys: list[Key], pairs: int) -> dict[Key, Array]:
        """Log candidate / base of every pair, for the cases that both sides measured. More may follow."""
        first, self._pairs = self._pairs, self._pairs + pairs
        medians: dict[bool, dict[int, dict[Key, float]]] = {False: {}, True: {}}
        for number, (pair, is_candidate) in enumerate(turns(pairs, first)):
            side, step = candidate if is_candidate else base, 2 * first + number
            self._progress(f"[{step + 1}/{2 * self._pairs}] {side.name}, {len(keys)} suspects")
            times = self._measure(side, keys, f"ab-{step:03d}", 1, step, anchors=False)
            medians[is_candidate][pair] = {} if times is None else _medians(times)
            if times is not None:
                self._disturbed += [finding.code for finding in findings(times, None, Tolerance())]
        before, after = medians[False], medians[True]
        return {
            key: np.array([after[pair][key] - before[pair][key] for pair in sorted(after)])
            for key in keys
            if all(key in times for side in (before, after) for times in side.values())
        }

    def run(self, side: Side, keys: list[Key], processes: int) -> RunTimes:
        """One more run of the suspects with anchors, in `processes` fresh processes."""
        self._progress(f"measuring {len(keys)} suspects again in {processes} fresh processes")
        times = self._measure(side, keys, "again", processes, processes, anchors=True)
        if times is None:
            raise EnvironmentMissing("none of the suspects could be measured again", where=side.name)
        return times

    def disturbances(self) -> list[str]:
        """Remarks on disturbed processes of an A/B. They affect both sides equally, so verdicts stand."""
        return [f"{n} processes of the A/B: {text}" for text, n in Counter(self._disturbed).items()]

    def _suite(self, side: Side, keys: list[Key]) -> Path | None:
        """A suite of the suspects as a side has them; None where it has none of them."""
        text = suspect_suite(keys, self._times, side.calls)
        if "[[sweep]]" not in text and "[[call]]" not in text:
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"suspects-{side.name.split()[0]}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def _measure(
        self, side: Side, keys: list[Key], name: str, processes: int, step: int, *, anchors: bool
    ) -> RunTimes | None:
        """The times of one `quantroof run`; None if it timed nothing, as when the base lacks the
        kernel."""
        out, suite = self._folder / name, self._suite(side, keys)
        if suite is None:
            return None
        options = ["--suite", str(suite), "--out", str(out), "--processes", str(processes), "--quiet"]
        options += self._options(side, keys, step)
        command = ["run", "--no-ceilings", *(["--anchors"] if anchors else [])]
        self._start(side, [*command, *options])
        run = read_run(out)
        timed = any(line.timing is not None for line in run.measurements)
        return run_times(run, self._times.device.id) if timed else None

    def _options(self, side: Side, keys: list[Key], step: int) -> list[str]:
        """Options that measure as the judged run did; every process draws its own data."""
        run_options = self._times.run.info.options
        options = ["--device", self._device(side), "--seed", str(run_options.seed + 1 + step)]
        options += ["--cache", run_options.cache, "--mode", run_options.mode]
        if run_options.precision is not None:
            options += ["--precision", str(run_options.precision)]
        if run_options.seconds_per_case is not None:
            options += ["--seconds", str(run_options.seconds_per_case)]
        if run_options.eager:
            options.append("--eager")
        suspects = set(keys)
        lines = [line for line in self._times.run.measurements if line.parsed_case.operation != "call"]
        for provider in sorted({line.provider for line in lines if (line.case, line.kernel) in suspects}):
            options += ["--provider", provider]
        for reference in side.kernels:
            options += ["--kernel", reference]
        return options

    def _device(self, side: Side) -> str:
        """The device's name; a simulated one keeps its fault, but slower code is the candidate's alone."""
        device = self._times.device
        fault = device.injected_fault
        if device.kind != "sim" or fault is None or (fault in CODE_FAULTS and side.name != CANDIDATE):
            return device.id
        return f"sim:{device.profile_id}+{fault}@0" if device.index == 0 else device.id


def _medians(times: RunTimes) -> dict[Key, float]:
    return {key: median(by_process.values()) for key, by_process in times.log_ns.items()}
