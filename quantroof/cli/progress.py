"""Progress of a run on stderr: a bar on a terminal, elsewhere a line per device every 30 seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from quantroof.bench.run import Job
from quantroof.records.lines import Ceiling, Measurement
from quantroof.reports.text.console import stderr
from quantroof.reports.text.run_lines import progress_line, result_line

if TYPE_CHECKING:
    from rich.progress import Progress

_EVERY_S = 30.0


class Display:
    """Shows the lines of a run as they come. Use as a context manager around `execute`."""

    def __init__(self, job: Job, *, quiet: bool, every_s: float = _EVERY_S) -> None:
        self._total = Counter(device for plan in job.plans for device, _, _ in plan.keys)
        self._done: Counter[str] = Counter()
        self._latest: dict[str, str] = {}
        self._quiet, self._every_s = quiet, every_s
        self._bar: Progress | None = None
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._print_regularly, daemon=True)
        self._started = time.monotonic()

    def line(self, line: Ceiling | Measurement) -> None:
        """A line was written."""
        if isinstance(line, Measurement):
            self._done[line.device] += 1
        self._latest[line.device] = result_line(line)
        if self._bar is not None:
            done = self._done.total()
            self._bar.update(self._bar.task_ids[0], completed=done, case=self._latest[line.device])

    def __enter__(self) -> Display:
        if self._quiet:
            return self
        if sys.stderr.isatty():
            self._bar = self._make_bar()
            self._bar.start()
        else:
            self._beat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._bar is not None:
            self._bar.stop()
        if self._beat.is_alive():
            self._beat.join()

    def _make_bar(self) -> Progress:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[case]}", markup=False),
            console=stderr(),
        )
        bar.add_task("run", total=self._total.total(), case="starting the workers")
        return bar

    def _print_regularly(self) -> None:
        """A line per device that is not done, so that a log is short and a long case does not look hung."""
        while not self._stop.wait(self._every_s):
            seconds = time.monotonic() - self._started
            for device, total in self._total.items():
                done = self._done[device]
                if done < total:
                    with suppress(BrokenPipeError):
                        text = progress_line(device, done, total, seconds, self._latest.get(device))
                        print(text, file=sys.stderr, flush=True)
