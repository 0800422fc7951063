"""A worker's other end by hand: replies out of order, time limits, and how an ended process is described."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from quantroof.bench.settings import Settings
from quantroof.bench.workers import handle, protocol
from quantroof.bench.workers.channel import Channel
from quantroof.bench.workers.handle import NO_LOG, ContextLost, Worker, WorkerLost
from quantroof.errors import EnvironmentMissing
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import GroupKey
from tests.builders import gpu_device

SETTINGS = Settings(precision=0.5, min_samples=3, max_samples=9, seconds_per_case=1)
CEILINGS = protocol.MeasureCeilings(quick=True)
NOBODY = 2**22 + 1  # above the largest process id
Edit = Callable[[protocol.Envelope], protocol.Envelope]


def _started(name: str) -> protocol.GroupStarted:
    key: GroupKey = ("bandwidth", name, "torch.x")
    return protocol.GroupStarted(group=key)


class Process:
    """In place of a process: a thread that greets, then answers every request with the next script."""

    pid = NOBODY
    scripts: tuple[tuple[protocol.Reply, ...], ...] = ()
    edit: Edit = staticmethod(lambda envelope: envelope)

    started: ClassVar[dict[str, Any]] = {}
    told: ClassVar[list[protocol.Setup]] = []

    def __init__(self, *_: object, pass_fds: tuple[int, ...], **how: object) -> None:
        type(self).started = how
        self._channel = Channel(socket.socket(fileno=os.dup(pass_fds[0])))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError, EOFError):  # a test ends before its script
            self._answer()
        self._channel.close()

    def _answer(self) -> None:
        setup = protocol.decode_request(self._channel.receive())
        assert isinstance(setup, protocol.Setup)
        self.told.append(setup)
        for request, script in enumerate([(protocol.Hello(),), *self.scripts]):
            if request:
                self._channel.receive()
            for number, reply in enumerate(script):
                envelope = protocol.Envelope(
                    token=setup.token, pid=NOBODY, request=request, number=number, reply=reply
                )
                self._channel.send(protocol.encode(type(self).edit(envelope) if request else envelope))

    def poll(self) -> int | None:
        """It runs."""
        return None

    def wait(self) -> None:
        """It is gone."""


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> type[Process]:
    """A stand-in for the processes that workers start."""

    class Fresh(Process):
        told: ClassVar[list[protocol.Setup]] = []

    monkeypatch.setattr(subprocess, "Popen", Fresh)
    return Fresh


def test_replies_are_told_apart_by_request_and_number(cpu: Device, process: type[Process]) -> None:
    """Two requests with two answers each; a greeting among them is none."""
    first, second = (
        (_started("read"), _started("write")),
        (_started("copy"), protocol.Hello(), _started("triad")),
    )
    process.scripts = ((*first, protocol.Done()), (*second, protocol.Done()))
    with Worker(cpu, SETTINGS) as worker:
        assert tuple(worker.ask(CEILINGS, 10.0)) == first
        assert tuple(worker.ask(CEILINGS, 10.0)) == (second[0], second[2])


EDITS: dict[str, Edit] = {
    "another token": lambda e: replace(e, token="0" * len(e.token)),
    "another process": lambda e: replace(e, pid=e.pid + 1),
    "another request": lambda e: replace(e, request=e.request + 1),
    "a number twice": lambda e: replace(e, number=0),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_reply_that_the_worker_did_not_write_ends_it(
    cpu: Device, process: type[Process], edit: Edit
) -> None:
    """A kernel that writes to the worker's socket cannot invent a record."""
    process.scripts = ((_started("read"), _started("write"), protocol.Done()),)
    process.edit = staticmethod(edit)
    with Worker(cpu, SETTINGS) as worker, pytest.raises(WorkerLost, match="out of order"):
        list(worker.ask(CEILINGS, 10.0))


def test_a_process_that_must_not_be_used_again_says_why(cpu: Device, process: type[Process]) -> None:
    """What it answered before counts."""
    process.scripts = ((_started("read"), protocol.Done(unusable="illegal address")),)
    answers: list[Any] = []
    with Worker(cpu, SETTINGS) as worker, pytest.raises(ContextLost, match="illegal address"):
        answers.extend(worker.ask(CEILINGS, 10.0))

    assert answers == [_started("read")]


def test_the_secret_of_two_workers_differs(cpu: Device, process: type[Process]) -> None:
    """It has 32 bytes, which no kernel guesses."""
    for _ in range(2):
        with Worker(cpu, SETTINGS):
            pass

    assert len({setup.token for setup in process.told}) == 2
    assert all(len(bytes.fromhex(setup.token)) >= 32 for setup in process.told)


def test_a_worker_sees_its_gpu_alone_and_no_ctrl_c(process: type[Process]) -> None:
    """The fourth GPU is the first of its worker; a key at the terminal reaches the run, which ends it."""
    gpu = gpu_device(index=3)
    with Worker(gpu, SETTINGS):
        pass

    assert process.told[0].device == replace(gpu, index=0)
    assert process.started["env"]["CUDA_VISIBLE_DEVICES"] == gpu.uuid
    assert process.started["start_new_session"] is True


class Ending:
    """In place of a process: it runs until a time of the test's own clock."""

    pid = NOBODY
    now_s, ends_s, code = 100.0, math.inf, 0

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def poll(self) -> int | None:
        """Its exit code from then on."""
        return self.code if Ending.now_s >= self.ends_s else None

    def wait(self, timeout: float = 0.0) -> None:
        """The limit passes; one that was killed is gone at once."""
        Ending.now_s += timeout
        if timeout and self.poll() is None:
            raise subprocess.TimeoutExpired("worker", timeout)


def test_a_worker_has_three_minutes_to_start(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing torch from a cold network disk takes a minute on some clusters."""
    waited: list[float] = []
    monkeypatch.setattr(subprocess, "Popen", Ending)

    def silent(_channel: Channel, timeout_s: float, is_alive: Callable[[], bool]) -> bytes:
        waited.append(timeout_s)
        assert is_alive()  # the process runs: only the time limit ends the wait
        raise TimeoutError

    monkeypatch.setattr(Channel, "receive", silent)
    with pytest.raises(EnvironmentMissing, match="did not start: no answer within 180 s: killed"):
        Worker(cpu, SETTINGS)
    assert waited == [180.0]


@pytest.mark.parametrize(
    ("ends_s", "code", "words"),
    [
        (0.0, 0, "ended with exit code 0"),
        (0.0, 1, "ended with exit code 1"),
        (1.9, 3, "ended with exit code 3"),
        (1.9, -11, "was killed by SIGSEGV"),
        (2.1, 3, "closed its connection"),
    ],
)
def test_a_process_is_given_two_seconds_to_end(
    cpu: Device, monkeypatch: pytest.MonkeyPatch, ends_s: float, code: int, words: str
) -> None:
    """Its connection closes before its exit code is known; one that goes on closed it by itself."""

    def gone(*_: object) -> bytes:
        raise EOFError

    monkeypatch.setattr(Ending, "now_s", 100.0)
    monkeypatch.setattr(Ending, "ends_s", 100.0 + ends_s)
    monkeypatch.setattr(Ending, "code", code)
    monkeypatch.setattr(subprocess, "Popen", Ending)
    monkeypatch.setattr(Channel, "receive", gone)
    with pytest.raises(EnvironmentMissing, match=words):
        Worker(cpu, SETTINGS)


@pytest.mark.parametrize("logged", [True, False])
def test_a_process_that_did_not_start_points_to_its_log(
    cpu: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, logged: bool
) -> None:
    """Where it has one: the library wrote its last words there."""
    log = tmp_path / "worker.log" if logged else NO_LOG
    monkeypatch.setattr(subprocess, "Popen", Ending)
    monkeypatch.setattr(Ending, "ends_s", 0.0)
    with pytest.raises(EnvironmentMissing, match="exit code 0") as refusal:
        Worker(cpu, SETTINGS, log)

    assert refusal.value.hint == (f"its own message is in {log}" if logged else None)


def test_what_the_children_of_a_worker_started_is_ended_too() -> None:
    """A shell in a shell: its sleep is two steps away."""
    shell = subprocess.Popen(["sh", "-c", "sh -c 'sleep 60; :'; :"], start_new_session=True)
    try:
        for _ in range(500):
            names = [process.name() for process in handle._descendants(os.getpid())]
            if "sleep" in names:
                break
            time.sleep(0.01)
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()

    assert "sleep" in names
