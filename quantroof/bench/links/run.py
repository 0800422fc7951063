"""The links between the GPUs of a node, in separate processes, so that a failure costs only one ceiling."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Ceiling, Status

_TIME_LIMIT_S = 90.0
_ROOM = "quantroof.bench.links"


def link_ceilings(devices: Sequence[Device]) -> Iterator[Ceiling]:
    """Copies between neighbors, and an all-reduce over the first two; a reason where there are none."""
    gpus = [device for device in devices if device.kind == "cuda"]
    if not gpus:
        return
    if len(gpus) == 1 or any(gpu.mig for gpu in gpus):
        why = "MIG slices have no links" if gpus[0].mig else "a link needs two GPUs, and one is measured"
        yield _untimed(gpus[0].id, "peer_copy", "torch.copy_", "skipped", why)
        yield _untimed(gpus[0].id, "all_reduce", "torch.distributed/nccl", "skipped", why)
        return
    ids, environment = [gpu.id for gpu in gpus], _environment(gpus)
    yield from peer_copies(ids, environment)
    yield from all_reduce(ids[:2], environment)


def peer_copies(
    ids: Sequence[str], environment: Mapping[str, str], limit_s: float = _TIME_LIMIT_S
) -> Iterator[Ceiling]:
    """One ceiling per pair of neighbors; a failure of the process is one failed record."""
    lines, why = _together([[f"{_ROOM}.peer", *ids]], environment, limit_s)
    yield from lines
    if why is not None:
        yield _untimed(ids[0], "peer_copy", "torch.copy_", "failed", why)


def all_reduce(
    ids: Sequence[str], environment: Mapping[str, str], limit_s: float = _TIME_LIMIT_S
) -> Iterator[Ceiling]:
    """One process per rank; they meet through a file."""
    with tempfile.TemporaryDirectory(prefix="quantroof-link-") as folder:
        store = str(Path(folder) / "store")
        ranks = [[f"{_ROOM}.all_reduce", str(rank), store, *ids] for rank in range(len(ids))]
        lines, why = _together(ranks, environment, limit_s)
    yield from lines
    if why is not None:
        yield _untimed(ids[0], f"all_reduce/{'+'.join(ids)}", "torch.distributed", "failed", why)


def _environment(gpus: Sequence[Device]) -> dict[str, str]:
    """Every rank sees these GPUs, in the run's order: NCCL looks for the paths between them."""
    uuids = [gpu.uuid for gpu in gpus if gpu.uuid is not None]
    return {"CUDA_VISIBLE_DEVICES": ",".join(uuids)} if len(uuids) == len(gpus) else {}


def _together(
    modules: Sequence[Sequence[str]], environment: Mapping[str, str], limit_s: float
) -> tuple[list[Ceiling], str | None]:
    """Run modules side by side until all end or time is up; their ceilings, and why one failed."""
    started = [_start(module, environment) for module in modules]
    deadline, lines, why = time.monotonic() + limit_s, list[Ceiling](), None
    try:
        for process in started:
            try:
                out, err = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return lines, f"no answer within {limit_s:.0f} s: killed"
            lines += [msgspec.json.decode(row, type=Ceiling) for row in out.splitlines() if row[:1] == "{"]
            if process.returncode and why is None:
                why = _last_words(err, process.returncode)
    except msgspec.DecodeError as error:
        why = f"unreadable: {error}"
    finally:
        for process in started:
            _end(process)
    return lines, why


def _start(module: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *module],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        start_new_session=True,  # a Ctrl-C at the terminal reaches the run only
    )


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _last_words(text: str, code: int) -> str:
    said = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in said if "Error" in line]
    return next(iter((*reversed(errors), *reversed(said))), f"ended with exit code {code}")[:300]


def _untimed(device: str, name: str, kernel: str, status: Status, reason: str) -> Ceiling:
    return Ceiling(device=device, quantity="link", name=name, kernel=kernel, status=status, reason=reason)
