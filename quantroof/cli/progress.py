"""Progress of a run: a bar on a terminal, one plain line per case elsewhere, always on stderr."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from quantroof.bench.run import Job
from quantroof.records.lines import Ceiling, Measurement
from quantroof.reports.text.console import stderr
from quantroof.reports.text.run_lines import result_line

if TYPE_CHECKING:
    from rich.progress import Progress

_HEARTBEAT_S = 30.0


class Display:
    """Shows the lines of a run as they come. Use as a context manager around `execute`."""

    def __init__(self, job: Job, *, quiet: bool) -> None:
        self._total = sum(len(plan.keys) for plan in job.plans)
        self._done = 0
        self._quiet = quiet
        self._console = stderr()
        self._bar: Progress | None = None
        self._last_print = time.monotonic()
        self._stop = threading.Event()
        self._started = time.monotonic()

    def line(self, line: Ceiling | Measurement) -> None:
        """A line was written."""
        if isinstance(line, Measurement):
            self._done += 1
        if self._quiet:
            return
        text = result_line(line)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done, case=text)
        elif not (isinstance(line, Measurement) and line.status == "skipped"):
            self._print(f"[{self._done}/{self._total}] {text}")

    def __enter__(self) -> Display:
        if self._quiet:
            return self
        if sys.stderr.isatty():
            self._bar = self._make_bar()
            self._bar.start()
        else:
            threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._bar is not None:
            self._bar.stop()

    def _make_bar(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        bar = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[case]}", markup=False),
            console=self._console,
        )
        bar.add_task("run", total=self._total, case="starting")
        return bar

    def _print(self, text: str) -> None:
        self._last_print = time.monotonic()
        with suppress(BrokenPipeError):
            print(text, file=sys.stderr, flush=True)

    def _beat(self) -> None:
        """Print a sign of life when no line came for a while, so that CI logs do not look hung."""
        while not self._stop.wait(1.0):
            if time.monotonic() - self._last_print >= _HEARTBEAT_S:
                self._print(
                    f"[{self._done}/{self._total}] still measuring, {time.monotonic() - self._started:.0f} s"
                )
