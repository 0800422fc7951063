"""Realistic runs for tests, made of record types. No figure here is a result: a seeded model makes them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from quantroof.bench.suite import load
from quantroof.hwprofiles.types import CpuInfo, Device, DeviceKind, Figure, HardwareProfile, Peak
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.directory import Run, RunWriter, read_run
from quantroof.records.lines import (
    Accuracy,
    AnyRecord,
    Ceiling,
    Config,
    DeviceState,
    Flag,
    Measurement,
    Status,
    Timing,
)
from quantroof.records.run import SCHEMA, Host, Mode, RunEnd, RunInfo, RunOptions

LAYERS = ((4096, 4096), (14336, 4096), (4096, 14336))
BATCHES = (1, 8, 64, 512, 4096)
ERRORS = {"fp32": 4e-7, "tf32": 4e-4, "fp16": 2e-4, "bf16": 1.7e-3}

H100 = HardwareProfile(
    id="h100-sxm5-80gb",
    device_names=("NVIDIA H100 80GB HBM3",),
    vendor="NVIDIA",
    architecture="Hopper",
    compute_capability="9.0",
    sm_count=132,
    boost_mhz=1830.0,
    memory_gb=80,
    memory_type="HBM3",
    bandwidth_gbps=Figure(value=3350, source="NVIDIA H100 datasheet"),
    peaks=tuple(
        Peak(
            element=element,
            accumulator=accumulator,
            tflops=tflops,
            clock_mhz=1830.0,
            source="NVIDIA H100 datasheet",
        )
        for element, accumulator, tflops in (
            ("fp32", "fp32", 66.9),
            ("tf32", "fp32", 494.7),
            ("fp16", "fp32", 989.4),
            ("bf16", "fp32", 989.4),
            ("fp8_e4m3", "fp32", 1978.9),
            ("int8", "int32", 1978.9),
        )
    ),
)


def cpu_device(name: str = "AMD EPYC 9B14") -> Device:
    """A CPU with two usable cores."""
    info = CpuInfo(
        model=name, physical_cores=1, usable_cores=2, isa=("avx2", "avx512_vnni"), l3_bytes=32 << 20
    )
    return Device(kind="cpu", index=0, name=name, memory_bytes=8 << 30, llc_bytes=32 << 20, cpu=info)


def gpu_device(index: int = 0, name: str = "NVIDIA H100 80GB HBM3", kind: DeviceKind = "cuda") -> Device:
    """A GPU with everything NVML can report."""
    return Device(
        kind=kind,
        index=index,
        name=name,
        uuid=f"GPU-5a1e7c00-0000-4000-8000-{index:012d}",
        nvml_index=index,
        compute_capability="9.0",
        sm_count=132,
        memory_bytes=85_520_809_984,
        llc_bytes=50 << 20,
        max_sm_clock_mhz=1980,
        power_limit_w=700.0,
        default_power_limit_w=700.0,
        ecc=True,
        driver="580.159.04",
        profile_id=H100.id,
    )


def samples(center_ns: float, *, spread: float = 0.01, count: int = 20, seed: int = 0) -> tuple[float, ...]:
    """Positive samples about a median, log-normal with a relative spread."""
    source = random.Random(f"{seed} {center_ns:.6g}")
    return tuple(center_ns * source.lognormvariate(0, spread) for _ in range(count))


def timing(
    center_ns: float, *, simulated: bool = False, spread: float = 0.01, count: int = 20, seed: int = 0
) -> Timing:
    """A cold timing by the method a GPU uses, or a simulated one."""
    return Timing(
        samples_ns=samples(center_ns, spread=spread, count=count, seed=seed),
        calls_per_sample=8,
        cache="cold",
        method="simulated" if simulated else "cuda-graph",
        stopped_by="precision",
        copies=4,
        rotated_bytes=256 << 20,
        hot=("activations", "output"),
    )


def state(clock_mhz: float = 1755.0, *, reasons: int = 0, temperature_c: float = 54.0) -> DeviceState:
    """What NVML and the device itself reported over a case."""
    return DeviceState(
        sm_clock_mhz=clock_mhz,
        sm_clock_source="device",
        memory_clock_mhz=2619.0,
        temperature_c=temperature_c,
        power_w=412.0,
        reasons=reasons,
        age_ms=80.0,
    )


def measurement(
    device: Device,
    scheme: str,
    m: int,
    layer: tuple[int, int],
    median_ns: float,
    *,
    provider: str = "torch",
    simulated: bool = False,
    spread: float = 0.01,
    seed: int = 0,
    count: int = 20,
    state: DeviceState | None = None,
    flags: tuple[Flag, ...] = (),
    config: Config | None = None,
) -> Measurement:
    """A timed measurement of one linear layer."""
    case = Case.linear(SCHEMES[scheme], m, *layer)
    own = ERRORS.get(case.output.element.name, 1e-3)
    return Measurement(
        device=device.id,
        case=case.id,
        kernel=f"{provider}.{scheme}",
        provider=provider,
        status="simulated" if simulated else "ok",
        flops=case.flops,
        bytes_moved=case.bytes_moved,
        timing=timing(median_ns, simulated=simulated, spread=spread, seed=seed, count=count),
        accuracy=Accuracy(
            frobenius=own,
            max_abs=own * 3,
            tolerance=own * 5,
            format_frobenius=own + (0.1 if scheme.startswith("int4") else 0.01 if "8" in scheme else 0),
        ),
        state=state,
        flags=flags,
        config=config or {},
        elapsed_s=0.4,
    )


def unmeasured(
    device: Device,
    scheme: str,
    m: int,
    layer: tuple[int, int],
    status: Status,
    reason: str,
    provider: str = "torch",
) -> Measurement:
    """A case that has no time: skipped, failed or incorrect."""
    case = Case.linear(SCHEMES[scheme], m, *layer)
    return Measurement(
        device=device.id,
        case=case.id,
        kernel=f"{provider}.{scheme}",
        provider=provider,
        status=status,
        reason=reason,
        flops=case.flops,
        bytes_moved=case.bytes_moved,
        accuracy=Accuracy(frobenius=0.9, max_abs=2.1, tolerance=8e-3) if status == "incorrect" else None,
    )


def ceilings(
    device: Device,
    bandwidth: float,
    rates: dict[str, float],
    *,
    simulated: bool = False,
    state: DeviceState | None = None,
) -> list[Ceiling]:
    """Read, write and copy at four sizes (small ones slower by a fixed latency); a matrix rate per element.

    `bandwidth` is the read rate at the largest size in bytes/s, `rates` are operations/s by element type.
    """
    status: Status = "simulated" if simulated else "ok"
    lines = []
    for name, share in (("read", 1.0), ("write", 0.97), ("copy", 0.95)):
        for size in (1 << 22, 1 << 26, 1 << 28, 1 << 32):
            time_ns = size / (bandwidth * share) * 1e9 + 1500
            lines.append(
                Ceiling(
                    device=device.id, quantity="bandwidth", name=name, kernel=f"stream.{name}", status=status,
                    bytes_moved=size, timing=timing(time_ns, simulated=simulated, spread=0.002), state=state,
                )
            )  # fmt: skip
    for element, reached in rates.items():
        flops = 2 * 8192**3
        lines.append(
            Ceiling(
                device=device.id, quantity="matrix", name=element, kernel=f"torch.{element}", status=status,
                flops=flops, shape=(8192, 8192, 8192),
                timing=timing(flops / reached * 1e9, simulated=simulated, spread=0.002), state=state,
            )
        )  # fmt: skip
    return lines


def info(
    devices: Sequence[Device],
    *,
    run_id: str = "2026-11-20-a",
    simulated: bool = False,
    versions: dict[str, str] | None = None,
    node: str = "node-17",
    mode: Mode = "burst",
) -> RunInfo:
    """A run header as `quantroof run` writes it."""
    return RunInfo(
        schema=SCHEMA,
        run_id=run_id,
        started_at="2026-11-20T09:12:44+00:00",
        command=("quantroof", "run", "--suite", "default"),
        suite="default",
        suite_source=load("default").source,
        options=RunOptions(mode=mode),
        devices=tuple(devices),
        profiles={device.id: H100 for device in devices if device.processor == "gpu"},
        versions=versions or {"quantroof": "0.1.0", "python": "3.12.3", "torch": "2.13.0", "triton": "3.7.1"},
        host=Host(name=node, system="Linux 6.8", machine="x86_64", cpus=64),
        git="4a91182",
        simulated=simulated,
    )


def run(header: RunInfo, lines: Iterable[AnyRecord], path: Path = Path("run.jsonl")) -> Run:
    """A Run in memory, complete."""
    built = Run(path=path, info=header)
    for line in lines:
        if isinstance(line, Ceiling):
            built.ceilings.append(line)
        elif isinstance(line, Measurement):
            built.measurements.append(line)
    built.ends.append(RunEnd(finished_at="2026-11-20T09:20:02+00:00", outcome="complete"))
    return built


def write(built: Run, directory: Path) -> Path:
    """Write a run to a directory, as `quantroof run` would; returns the directory."""
    with RunWriter.create(directory, built.info) as writer:
        lines: list[AnyRecord] = [*built.ceilings, *built.anchors, *built.measurements, *built.ends]
        for line in lines:
            writer.write(line)
    return directory


def stored(built: Run, directory: Path) -> Run:
    """The run after a trip through its file."""
    return read_run(write(built, directory))
