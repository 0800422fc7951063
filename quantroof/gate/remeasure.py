"""Second measurements: suspects in fresh processes, both sides alternating (A B B A), or one side again."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.errors import EnvironmentMissing, ExitCode
from quantroof.gate.environment import Tolerance, findings
from quantroof.gate.sides import Side
from quantroof.gate.suspect_suite import suspect_suite
from quantroof.gate.times import Key, RunTimes, run_times
from quantroof.records.directory import read_run

Progress = Callable[[str], None]


def turns(pairs: int) -> Iterator[tuple[int, bool]]:
    """(pair, is candidate) of every process in order: A B, B A, A B... so that drift affects both sides
    equally."""
    for pair in range(pairs):
        for candidate in (False, True) if pair % 2 == 0 else (True, False):
            yield pair, candidate


class Remeasurement:
    """Measures suspects of a run again, each time by `quantroof run` in fresh processes, into a folder.

    It uses only the command line and the run file of the other side, so the base may be any version.
    """

    def __init__(self, times: RunTimes, folder: Path, progress: Progress) -> None:
        self._times, self._folder, self._progress = times, folder.resolve(), progress
        self._disturbed: list[str] = []

    def pairs(self, base: Side, candidate: Side, keys: list[Key], pairs: int) -> dict[Key, Array]:
        """Log candidate / base of every pair, for the cases that both sides measured."""
        suite = self._suite(keys)
        medians: dict[bool, dict[int, dict[Key, float]]] = {False: {}, True: {}}
        for step, (pair, is_candidate) in enumerate(turns(pairs)):
            side = candidate if is_candidate else base
            self._progress(f"[{step + 1}/{2 * pairs}] {side.name}, {len(keys)} suspects")
            times = self._measure(side, suite, keys, f"ab-{step:03d}", 1, step, anchors=False)
            medians[is_candidate][pair] = {} if times is None else _medians(times)
            if times is not None:
                self._disturbed += [finding.code for finding in findings(times, None, Tolerance())]
        return {
            key: np.array([after[pair][key] - before[pair][key] for pair in range(pairs)])
            for before, after in [(medians[False], medians[True])]
            for key in keys
            if all(key in before[pair] and key in after[pair] for pair in range(pairs))
        }

    def run(self, side: Side, keys: list[Key], processes: int) -> RunTimes:
        """One more run of the suspects with anchors, in `processes` fresh processes."""
        self._progress(f"measuring {len(keys)} suspects again in {processes} fresh processes")
        times = self._measure(side, self._suite(keys), keys, "again", processes, processes, anchors=True)
        if times is None:
            raise EnvironmentMissing("none of the suspects could be measured again", where=side.name)
        return times

    def disturbances(self) -> list[str]:
        """Remarks on disturbed processes of an A/B. They affect both sides equally, so verdicts stand."""
        return [f"{n} processes of the A/B: {text}" for text, n in Counter(self._disturbed).items()]

    def _suite(self, keys: list[Key]) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "suspects.toml"
        path.write_text(suspect_suite(keys, self._times), encoding="utf-8")
        return path

    def _measure(
        self, side: Side, suite: Path, keys: list[Key], name: str, processes: int, step: int, *, anchors: bool
    ) -> RunTimes | None:
        """The times of one `quantroof run`; None if it timed nothing, as when the base lacks the
        kernel."""
        out = self._folder / name
        options = ["--suite", str(suite), "--out", str(out), "--processes", str(processes), "--quiet"]
        options += self._options(side, keys, step)
        command = ["run", "--no-ceilings", *(["--anchors"] if anchors else [])]
        done = subprocess.run(
            [side.python, "-m", "quantroof", *command, *options],
            cwd=side.root if side.root.is_dir() else self._folder,
            env=side.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (ExitCode.OK, ExitCode.FINDING):
            message = done.stderr.strip().splitlines()
            what = (
                f"the second measurement failed: {message[-1] if message else f'exit code {done.returncode}'}"
            )
            raise EnvironmentMissing(what, where=side.name)
        run = read_run(out)
        timed = any(line.timing is not None for line in run.measurements)
        return run_times(run, self._times.device.id) if timed else None

    def _options(self, side: Side, keys: list[Key], step: int) -> list[str]:
        """Options that measure as the judged run did; every process draws its own data."""
        asked = self._times.run.info.options
        options = ["--device", self._times.device.id, "--seed", str(asked.seed + 1 + step)]
        options += ["--cache", asked.cache, "--mode", asked.mode]
        if asked.precision is not None:
            options += ["--precision", str(asked.precision)]
        if asked.seconds_per_case is not None:
            options += ["--seconds", str(asked.seconds_per_case)]
        if asked.eager:
            options.append("--eager")
        suspects = set(keys)
        lines = self._times.run.measurements
        for provider in sorted({line.provider for line in lines if (line.case, line.kernel) in suspects}):
            options += ["--provider", provider]
        for reference in side.kernels:
            options += ["--kernel", reference]
        return options


def _medians(times: RunTimes) -> dict[Key, float]:
    return {key: median(by_process.values()) for key, by_process in times.log_ns.items()}
