"""Real worker processes with kernels that crash, hang, lie or babble: each costs its own cases only."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

from quantroof.bench.workers import protocol
from quantroof.bench.workers.channel import Channel
from quantroof.bench.workers.device_run import DeviceRun
from quantroof.bench.workers.handle import NO_LOG, Worker
from quantroof.errors import EnvironmentMissing
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Anchor, Ceiling, Measurement
from tests.bench.conftest import tiny_plan
from tests.hwprofiles.boards import h200


def _others(device: Device) -> int:
    """How many measurements of the tiny suite are not the faulty kernel's."""
    return tiny_plan(device).timed


def _run(device: Device, *faulty: str, timeout_s: float = 30.0) -> list[Measurement]:
    lines: list[Anchor | Ceiling | Measurement] = []
    DeviceRun(tiny_plan(device, *faulty, timeout_s=timeout_s), lines.append).run()
    return [line for line in lines if isinstance(line, Measurement)]


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("SEGFAULT", "failed", "killed by SIGSEGV"),
        ("EXIT", "failed", "exit code 1"),
        ("EXHAUST", "failed", "RuntimeError"),
        ("WRONG", "incorrect", "above the format's tolerance"),
        ("NAN", "incorrect", "NaN or infinity"),
        ("RAISE", "failed", "RuntimeError: kernel says no"),
        ("REFUSE", "skipped", "only the library knows why"),
        ("PRINT", "ok", ""),
    ],
)
def test_a_fault_costs_its_own_cases_only(cpu: Device, fault: str, status: str, words: str) -> None:
    """All other cases are measured, and the faulty kernel's records have the reason."""
    lines = _run(cpu, fault)
    faulty = [line for line in lines if line.provider == "faulty"]
    others = [line for line in lines if line.provider != "faulty"]

    assert Counter(line.status for line in others) == {"ok": _others(cpu)}
    assert Counter(line.status for line in faulty) == {status: 2}
    for line in faulty:
        assert words in (line.reason or "")
        assert "\n" not in (line.reason or "")


@pytest.mark.alone
def test_a_hang_that_ignores_sigterm_is_killed(cpu: Device) -> None:
    """A case past its time limit fails with the limit; the worker's successor measures the rest."""
    lines = _run(cpu, "HANG", timeout_s=2.0)
    hung = [line for line in lines if line.kernel == "faulty.hang"]

    assert [line.reason for line in hung] == ["no answer within 2 s: killed"] * 2
    assert sum(line.status == "ok" for line in lines) == _others(cpu)


def _children() -> list[psutil.Process]:
    children: list[psutil.Process] = psutil.Process(os.getpid()).children(recursive=True)
    return children


def test_what_a_kernel_forked_does_not_outlive_the_run(cpu: Device) -> None:
    """Children that ignore SIGTERM die with the worker's process group."""
    before = set(_children())  # a browser that other tests of this process share, for one
    lines = _run(cpu, "FORK")
    time.sleep(0.2)
    left = [p for p in _children() if p not in before and p.status() != "zombie"]
    orphans = [
        p
        for p in psutil.process_iter(["cmdline"])
        if "quantroof.bench.workers.worker" in (p.info["cmdline"] or [])
    ]

    assert sum(line.status == "ok" for line in lines if line.provider != "faulty") == _others(cpu)
    assert left == []
    assert [p.ppid() for p in orphans if p.ppid() == 1] == []


def test_a_device_that_cannot_be_used_ends_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """The library's own words come in the error; the worker leaves no traceback on the terminal."""
    nowhere = replace(h200(), index=99, uuid=None)
    with pytest.raises(EnvironmentMissing, match="the device cannot be used") as refusal:
        Worker(nowhere, tiny_plan(nowhere).settings)

    assert "\n" not in str(refusal.value)
    assert capfd.readouterr().err == ""


def _torch_is(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Workers that start from now on import this text as torch."""
    (folder / "torch.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


def test_a_broken_library_is_one_line(
    cpu: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A torch that cannot be imported, as without its CUDA libraries, is reported in its own words."""
    _torch_is(tmp_path, monkeypatch, "raise ImportError('libcudart.so.13: cannot open shared object file')")
    with pytest.raises(EnvironmentMissing, match="ImportError: libcudart") as refusal:
        Worker(cpu, tiny_plan(cpu).settings)

    assert "\n" not in str(refusal.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("logged", [True, False])
def test_a_worker_that_ends_at_its_start_points_to_its_message(
    cpu: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: bool
) -> None:
    """The error names the log that has what the library wrote last; without a log it names none."""
    _torch_is(tmp_path, monkeypatch, "import os; os.write(2, b'illegal instruction'); os._exit(3)")
    log = tmp_path / "worker.log" if logged else NO_LOG
    with pytest.raises(EnvironmentMissing, match="ended with exit code 3") as refusal:
        Worker(cpu, tiny_plan(cpu).settings, log)

    assert refusal.value.hint == (f"its own message is in {log}" if logged else None)
    assert not logged or log.read_text() == "illegal instruction"


@pytest.mark.parametrize(
    ("uuid", "index"), [("MIG-5a1e7c00-0000-4000-8000-000000000001", 0), (None, 3)], ids=["named", "nameless"]
)
def test_a_device_that_is_seen_alone_is_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uuid: str | None, index: int
) -> None:
    """The fourth GPU is number 0 in a worker that sees it alone, and number 3 in one that sees them all."""
    _torch_is(tmp_path, monkeypatch, "import os; raise ImportError(os.environ.get('CUDA_VISIBLE_DEVICES'))")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    sent, send = list[bytes](), Channel.send

    def noted(channel: Channel, data: bytes) -> None:
        sent.append(data)
        send(channel, data)

    monkeypatch.setattr(Channel, "send", noted)
    device = replace(h200(), index=3, uuid=uuid, mig=uuid and "1g.18gb")
    with pytest.raises(EnvironmentMissing, match=f"ImportError: {uuid}"):
        Worker(device, tiny_plan(device).settings)
    setup = protocol.decode_request(sent[0])

    assert isinstance(setup, protocol.Setup)
    assert setup.device == replace(device, index=index)


def test_a_worker_that_is_dead_before_it_is_told_anything_is_one_error(
    cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends at once did not start: one line, where sending to it breaks the pipe."""
    encode = protocol.encode

    def late(message: Any) -> bytes:
        time.sleep(0.5)  # the process has ended by then
        return encode(message)

    monkeypatch.setattr(protocol, "encode", late)
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(EnvironmentMissing, match="the worker process did not start"):
        Worker(cpu, tiny_plan(cpu).settings)
