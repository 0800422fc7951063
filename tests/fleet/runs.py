"""Runs of a fleet as files: nodes of 8 GPUs, marked simulated, any of them made slow or sick."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import msgspec

from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run, RunWriter
from quantroof.records.lines import AnyRecord, DeviceState, Measurement
from quantroof.records.run import Host
from tests.builders import ceilings, gpu_device, info, measurement, run, state
from tests.runs import GPU_BANDWIDTH, GPU_RATES, model_ns

SCHEMES = ("bf16", "fp8-w8a8", "int4-w4a16")
BATCHES = (1, 4, 2048, 4096)
LAYERS = ((4096, 4096), (14336, 4096))
GPUS_A_NODE = 8
Speed = Callable[[Device, str], tuple[float, float]]
"""(memory, compute) speed of a GPU of a node."""


def even(_device: Device, _node: str) -> tuple[float, float]:
    """Every GPU at its full speed."""
    return 1.0, 1.0


def node_run(
    node: str,
    speed: Speed = even,
    *,
    run_id: str | None = None,
    started: str = "2026-11-20T09:12:44+00:00",
    seed: int = 0,
    suite: str = "node",
    gpus: int = GPUS_A_NODE,
    simulated: bool = True,
    change: Callable[[Device], Device] = lambda d: d,
    seen: DeviceState | None = None,
) -> Run:
    """One node's run. `change` alters what a device reports, `seen` the state beside every line."""
    number = int(node.rpartition("-")[2])
    devices = [
        change(msgspec.structs.replace(gpu_device(i), uuid=f"GPU-{number:08d}-{i}")) for i in range(gpus)
    ]
    lines: list[AnyRecord] = []
    for device in devices:
        lines += gpu_lines(device, *speed(device, node), seed=seed, simulated=simulated, seen=seen)
    header = info(devices, run_id=run_id or f"{node}-{started}-{seed}", simulated=simulated)
    header = msgspec.structs.replace(header, host=Host(name=node), started_at=started, suite=suite)
    return run(header, lines)


def gpu_lines(
    device: Device, memory: float, compute: float, *, seed: int, simulated: bool, seen: DeviceState | None
) -> list[AnyRecord]:
    """Ceilings and 24 cases of one GPU, with 1 % natural spread of the GPU and 0.3 % of the case."""
    source = random.Random(f"{device.uuid}")
    noise = random.Random(f"{device.uuid} {seed}")
    memory, compute = memory * source.gauss(1, 0.005), compute * source.gauss(1, 0.01)
    bandwidth = GPU_BANDWIDTH * memory
    rates = {name: rate * compute for name, rate in GPU_RATES.items()}
    found: list[AnyRecord] = [*ceilings(device, bandwidth, rates, simulated=simulated, state=seen or state())]
    for scheme in SCHEMES:
        for m in BATCHES:
            for layer in LAYERS:
                line = measurement(device, scheme, m, layer, 1.0, simulated=simulated, state=seen or state())
                found.append(_timed(line, bandwidth, rates, noise))
    return found


def _timed(line: Measurement, bandwidth: float, rates: dict[str, float], noise: random.Random) -> Measurement:
    assert line.timing is not None
    ns = model_ns(line.parsed_case, bandwidth, rates) * noise.gauss(1, 0.003)
    timing = msgspec.structs.replace(line.timing, samples_ns=(ns, ns * 1.001, ns * 1.002))
    return msgspec.structs.replace(line, timing=timing)


def stored(folder: Path, runs: list[Run]) -> list[str]:
    """Write runs below a folder; their directories as text."""
    names = []
    for built in runs:
        directory = folder / f"run-{built.info.run_id}".replace(":", "")
        with RunWriter.create(directory, built.info) as writer:
            lines: list[AnyRecord] = [*built.ceilings, *built.measurements, *built.ends]
            for line in lines:
                writer.write(line)
        names.append(str(directory))
    return names
