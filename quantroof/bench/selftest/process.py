"""A process of the self-test: runs its share of a group, and writes a line of JSON per check to a file.

Run as `python -m quantroof.bench.selftest.process FILE`, with a Share as JSON on standard input. The name of
each check goes to standard output before it begins, so that the parent knows which one ended a process.
"""

from __future__ import annotations

import faulthandler
import io
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from quantroof.bench import failures
from quantroof.bench.selftest.checks import Check, Group, Seen, checks
from quantroof.bench.workers.parent import die_with_parent
from quantroof.hwprofiles.types import Device

CONTEXT_LOST = 7  # exit code
SHOW_STACK = signal.SIGUSR1
"""Has a process write its Python stack to standard error; Python need not be able to run anything."""
_START = "start"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Checks of a group that one process runs: every `shares`-th from `share`, except those begun before."""

    group: Group
    device: Device
    share: int = 0
    shares: int = 1
    begun: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what it saw, or the whole traceback with what was logged meanwhile."""

    group: Group
    check: str
    ok: bool
    seconds: float | None = None
    seen: dict[str, Any] | None = None
    error: str | None = None


def main() -> None:
    """Run the share that standard input names."""
    die_with_parent()
    faulthandler.register(SHOW_STACK)
    share = msgspec.json.decode(sys.stdin.buffer.read(), type=Share)
    names = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a kernel prints must not be read as the name of a check
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for check in _checks(share):
        print(check.name, file=names, flush=True)
        answer = _answer(share.group, check)
        os.write(file, json.dumps(msgspec.to_builtins(answer), default=repr).encode() + b"\n")
        if not answer.ok and _lost(share.device):
            os._exit(CONTEXT_LOST)


def _checks(share: Share) -> Iterator[Check]:
    """The checks of a share; where they cannot even be listed, one more that raises the reason."""
    try:
        for index, check in enumerate(checks(share.group, share.device, share.kernels)):
            if index % share.shares == share.share and check.name not in share.begun:
                yield check
    except Exception as error:  # noqa: BLE001 - a device or library that does not work may raise anything
        if _START not in share.begun:
            yield Check(_START, partial(_raise, error))


def _raise(error: Exception) -> Seen:
    raise error


def _answer(group: Group, check: Check) -> Answer:
    log, start = io.StringIO(), time.perf_counter()
    handler = logging.StreamHandler(log)
    failures.LOG.addHandler(handler)
    try:
        seen = check.run()
    except Exception:  # noqa: BLE001 - whatever is raised is the finding
        text = log.getvalue() + traceback.format_exc()
        return Answer(
            group=group, check=check.name, ok=False, seconds=time.perf_counter() - start, error=text
        )
    finally:
        failures.LOG.removeHandler(handler)
    return Answer(group=group, check=check.name, ok=True, seconds=time.perf_counter() - start, seen=seen)


def _lost(device: Device) -> bool:
    """Whether this process can no longer use its GPU."""
    if device.processor == "cpu":
        return False
    import torch

    try:
        torch.zeros(1, device=f"cuda:{device.index}").add_(1).item()
    except RuntimeError:
        return True
    return False


if __name__ == "__main__":
    main()
