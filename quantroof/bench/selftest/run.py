"""Runs the self-test: a few processes per group, each watched; one that dies or hangs costs one check."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import msgspec
from msgspec.structs import replace

from quantroof.bench.selftest.checks import GROUPS, Group
from quantroof.bench.selftest.process import CONTEXT_LOST, SHOW_STACK, Answer, Share
from quantroof.bench.workers.handle import visible_only
from quantroof.hwprofiles.types import Device

# The share of the whole limit by which a group has to end, so that the groups after it have time left.
_ENDS = {"imports": 0.3, "state": 0.4, "correct": 0.75, "timers": 0.85, "ceilings": 1.0}
_PROCESSES = {"cpu": 2, "gpu": 4}
_CHECK_S = 25.0
_START_S = 60.0
_STACK_S = 0.5
_TAIL_BYTES = 8000
_COMMAND = (sys.executable, "-P", "-X", "faulthandler", "-m", f"{__package__}.process")


@dataclass(frozen=True, slots=True)
class SelfTestOptions:
    """What to test, where the lines of `selftest.jsonl` go, and the longest time in seconds."""

    device: Device
    file: Path
    limit_s: float
    kernels: tuple[str, ...] = ()
    check_s: float = _CHECK_S


def self_test(options: SelfTestOptions, on_failure: Callable[[Answer], None]) -> list[Answer]:
    """Every check's answer, in the order in which they ended; failures are reported at once as well."""
    options.file.parent.mkdir(parents=True, exist_ok=True)
    options.file.write_bytes(b"")
    watch = _Watch(options, time.monotonic())
    reported = 0
    for group in GROUPS:
        count = _PROCESSES[options.device.processor] if group == "correct" else 1
        shares = [_share(options, group, number, count) for number in range(count)]
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(watch.finish, shares))
        answers = read_answers(options.file)
        for answer in answers[reported:]:
            if not answer.ok:
                on_failure(answer)
        reported = len(answers)
    return read_answers(options.file)


def read_answers(file: Path) -> list[Answer]:
    """The answers in a file, without a last line that a killed process left half written."""
    lines = file.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=Answer) for line in lines]


def _share(options: SelfTestOptions, group: Group, number: int, count: int) -> Share:
    device = replace(options.device, index=0) if visible_only(options.device) else options.device
    return Share(group=group, device=device, share=number, shares=count, kernels=options.kernels)


class _Watch:
    """Runs shares to their end, with a new process behind each check that ended one."""

    def __init__(self, options: SelfTestOptions, began_s: float) -> None:
        self._options, self._began_s = options, began_s

    def finish(self, share: Share) -> None:
        """Run a share until it is done or its group's time is up."""
        deadline_s = self._began_s + self._options.limit_s * _ENDS[share.group]
        while True:
            names, reason = self._process(share, deadline_s)
            if reason is None:
                return
            check = names[-1] if names else "start"
            if reason != _LOST:
                self._note(Answer(group=share.group, check=check, ok=False, error=reason))
            if not names or time.monotonic() >= deadline_s:
                return
            share = replace(share, begun=(*share.begun, *names))

    def _process(self, share: Share, deadline_s: float) -> tuple[list[str], str | None]:
        """The checks that one process began, and why it did not end by itself, or None.

        The reason begins with what the process wrote to standard error: where a crash was, or a hang is.
        """
        names: list[str] = []
        with TemporaryFile() as errors:
            process = subprocess.Popen(
                [*_COMMAND, str(self._options.file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | visible_only(self._options.device) | _threads(share.shares),
                start_new_session=True,
            )
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(msgspec.json.encode(share))
            try:
                late = self._listen(process, names, deadline_s)
                reason = late or _ending(process.wait())
            finally:
                _end(process)
            written = _tail(errors)
        with self._options.file.with_suffix(".log").open("a", encoding="utf-8") as log:
            log.write(written)
        return names, f"{written}{reason}" if reason not in (None, _LOST) else reason

    def _listen(self, process: subprocess.Popen[bytes], names: list[str], deadline_s: float) -> str | None:
        """Collect the names that a process prints until it ends; why it must be killed before, or None."""
        assert process.stdout is not None
        descriptor, rest = process.stdout.fileno(), b""
        while True:
            patience_s = self._options.check_s if names else max(_START_S, self._options.check_s)
            left_s = deadline_s - time.monotonic()
            ready, _, _ = select.select([descriptor], [], [], max(0.0, min(patience_s, left_s)))
            if not ready:
                late = f"no answer within {patience_s:.0f} s: killed"
                return late if patience_s <= left_s else "the time limit of its group was reached"
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                return None
            *lines, rest = (rest + chunk).split(b"\n")
            names += [line.decode() for line in lines]

    def _note(self, answer: Answer) -> None:
        with self._options.file.open("ab") as file:
            file.write(msgspec.json.encode(answer) + b"\n")


def _threads(shares: int) -> dict[str, str]:
    """The cores in equal parts: threads that wait for those of another process double the time."""
    return {} if shares == 1 else {"OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // shares))}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started; one that still runs writes its stack first."""
    if process.poll() is None:
        process.send_signal(SHOW_STACK)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STACK_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _tail(errors: IO[bytes]) -> str:
    """The end of what was written, in whole lines."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _TAIL_BYTES))
    text = errors.read().decode(errors="replace")
    return text if not text or text.endswith("\n") else f"{text}\n"


_LOST = "the context is gone"


def _ending(code: int) -> str | None:
    """How a process ended that was not killed, or None if it did all its checks."""
    if code == 0:
        return None
    if code == CONTEXT_LOST:
        return _LOST
    return f"the process was killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def counts(answers: Iterable[Answer]) -> dict[Group, tuple[int, int]]:
    """How many checks of each group were right and how many failed."""
    table: dict[Group, tuple[int, int]] = dict.fromkeys(GROUPS, (0, 0))
    for answer in answers:
        right, failed = table[answer.group]
        table[answer.group] = (right + answer.ok, failed + (not answer.ok))
    return table
