"""A worker process from the parent's side: start, requests, time limits, end."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
from msgspec.structs import replace

from quantroof.bench.settings import Settings
from quantroof.bench.workers import protocol
from quantroof.bench.workers.channel import BrokenMessage, Channel
from quantroof.errors import EnvironmentMissing
from quantroof.hwprofiles.cuda_driver import devices_by_uuid, digits
from quantroof.hwprofiles.types import Device

_START_TIMEOUT_S = 180.0  # importing torch from a cold network disk takes a minute on some clusters
_EXIT_GRACE_S = 2.0
NO_LOG = Path(os.devnull)
_MARK = "QUANTROOF_WORKER"
"""The variable that marks what a worker started, also where it left the group and outlived its parent."""


class WorkerLost(Exception):
    """The worker died or hung; the text goes into the record of the case that was running."""


class ContextLost(WorkerLost):
    """The worker recorded its case and then lost its CUDA context: only the process must be replaced."""


def visible_only(device: Device) -> dict[str, str]:
    """Environment in which a CUDA program sees this device alone, as its first.

    A process can use one MIG slice only, and a context on a neighbor would take memory there. Empty if
    CUDA gives the GPU another UUID than NVML does, as some virtual machines have it: the ordinal must do.
    """
    if device.kind != "cuda" or device.uuid is None:
        return {}
    by_uuid = devices_by_uuid()
    if by_uuid and device.mig is None and digits(device.uuid) not in by_uuid:
        return {}
    return {"CUDA_VISIBLE_DEVICES": device.uuid}


class Worker:
    """One worker process of a device. Use as a context manager; it is killed at the end.

    What it writes to standard error, whole tracebacks among it, is appended to `log`.
    """

    def __init__(self, device: Device, settings: Settings, log: Path = NO_LOG) -> None:
        environment = visible_only(device)
        self._mark = secrets.token_hex()
        ours, theirs = socket.socketpair()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "quantroof.bench.workers.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=errors,
                env=os.environ | environment | {_MARK: self._mark},
                start_new_session=True,  # a Ctrl-C at the terminal reaches the run only
            )
        theirs.close()
        self._log = log
        self._channel, self._token = Channel(ours), secrets.token_hex()
        self._request = self._number = 0
        alone = replace(device, index=0) if environment else device
        setup = protocol.Setup(device=alone, settings=settings, token=self._token)
        with suppress(OSError):  # it died already: the missing hello says so
            self._channel.send(protocol.encode(setup))
        self._await_hello(device.id)

    def ask(self, request: protocol.Request, timeout_s: float) -> Iterator[protocol.Answer]:
        """Send a request and yield its replies; `timeout_s` bounds the wait for each of them.

        Raises WorkerLost when the process dies, exceeds the time limit, sends something unreadable, or loses
        its CUDA context. The process is dead then, and a new Worker is needed.
        """
        try:
            self._channel.send(protocol.encode(request))
        except OSError:
            raise WorkerLost(self._ending()) from None
        self._request, self._number = self._request + 1, 0
        while True:
            reply = self._receive(timeout_s)
            if isinstance(reply, protocol.Done):
                if reply.unusable:
                    self.kill()
                    raise ContextLost(reply.unusable)
                return
            if isinstance(reply, protocol.Hello):
                continue
            yield reply

    def kill(self) -> None:
        """End the process and everything it started."""
        left = _descendants(self._process.pid)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for process in left:  # those that left the group
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        end_marked(self._mark)
        self._channel.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _where(self) -> str | None:
        return None if self._log == NO_LOG else f"its own message is in {self._log}"

    def _await_hello(self, device: str) -> None:
        try:
            hello = self._receive(_START_TIMEOUT_S)
        except WorkerLost as error:
            self.kill()
            raise EnvironmentMissing(
                f"the worker process did not start: {error}", hint=self._where()
            ) from None
        if isinstance(hello, protocol.Hello) and hello.trouble:
            self.kill()
            raise EnvironmentMissing(
                f"the device cannot be used, {hello.trouble}",
                where=device,
                hint="quantroof doctor examines it",
            )

    def _receive(self, timeout_s: float) -> protocol.Reply:
        try:
            data = self._channel.receive(timeout_s, lambda: self._process.poll() is None)
            envelope = protocol.decode_envelope(data)
        except TimeoutError:
            self.kill()
            raise WorkerLost(f"no answer within {timeout_s:.0f} s: killed") from None
        except (EOFError, OSError):
            raise WorkerLost(self._ending()) from None
        except (msgspec.DecodeError, BrokenMessage) as error:
            self.kill()
            raise WorkerLost(f"the worker sent something unreadable: {error}") from None
        origin = (envelope.token, envelope.pid, envelope.request, envelope.number)
        if origin != (self._token, self._process.pid, self._request, self._number):
            self.kill()
            raise WorkerLost("a reply came that the worker did not write, or out of order")
        self._number += 1
        return envelope.reply

    def _ending(self) -> str:
        """How the process ended, as a sentence for the record."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_GRACE_S)
        code = self._process.poll()
        if code is None:
            text = "the worker closed its connection"
        elif code < 0:
            text = f"the worker was killed by {signal.Signals(-code).name}"
        else:
            text = f"the worker ended with exit code {code}"
        self.kill()
        return text


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        processes: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return processes


def end_marked(mark: str) -> None:
    """Kill every process that was started with this mark, also a child whose parent died."""
    wanted = f"{_MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is not ours
            # Counted and not compared: scripts/mutation.py negates comparisons, and the negation of this one
            # kills every process but ours, those of that script among them.
            if (folder / "environ").read_bytes().split(b"\0").count(wanted):
                os.kill(int(folder.name), signal.SIGKILL)
