"""Whole runs: a CPU, a GPU, a node with a slow GPU, every kind of failure, nothing at all, a later run."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quantroof.hwprofiles import roofline
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.directory import Run
from quantroof.records.lines import AnyRecord, Ceiling, Flag, Measurement
from quantroof.records.run import RunEnd
from tests.builders import (
    BATCHES,
    LAYERS,
    ceilings,
    cpu_device,
    gpu_device,
    info,
    measurement,
    run,
    state,
    unmeasured,
)

SCHEME_NAMES = (
    "fp32",
    "tf32",
    "fp16",
    "bf16",
    "fp8-w8a8",
    "fp8-w8a8-static",
    "int8-w8a8",
    "int8-w8a8-static",
    "int8-w8a16",
    "int4-w4a16",
)

# Share of the roof a scheme reaches in the model below; int8 activations cost time at small batches.
_REACHED = {"fp32": 0.9, "tf32": 0.8, "fp16": 0.85, "bf16": 0.86, "int4-w4a16": 0.62, "int8-w8a16": 0.7}


def model_ns(case: Case, bandwidth: float, rates: dict[str, float], provider: str = "torch") -> float:
    """A plausible time of a case: its roof divided by a share typical of the scheme, plus a launch cost."""
    seconds = roofline.attainable_seconds(case.flops, case.bytes_moved, rates[case.compute.name], bandwidth)
    share = _REACHED.get(case.scheme, 0.78) * (0.93 if provider == "triton" else 1.0)
    return seconds / share * 1e9 + 900


def cpu_run(name: str = "AMD EPYC 9B14", batches: Sequence[int] = (1, 16, 128)) -> Run:
    """A CPU run: fp32, bf16, int8 and int4, three layers, one skip."""
    device = cpu_device(name)
    bandwidth, rates = 2.6e10, {"fp32": 1.2e11, "bf16": 4.1e11, "int8": 6.8e11, "fp16": 5.1e10}
    lines: list[AnyRecord] = [*ceilings(device, bandwidth, rates)]
    for scheme in ("fp32", "bf16", "int8-w8a8", "int8-w8a16", "int4-w4a16"):
        for layer in LAYERS:
            for m in batches:
                case = Case.linear(SCHEMES[scheme], m, *layer)
                lines.append(measurement(device, scheme, m, layer, model_ns(case, bandwidth, rates)))
    reason = "fp8 matrix multiplication on this CPU runs through fp32 and took more than 60 s"
    lines.append(unmeasured(device, "fp8-w8a8", 1, LAYERS[0], "skipped", reason))
    return run(info([device], run_id="cpu-run"), lines)


GPU_BANDWIDTH = 3.12e12
GPU_RATES = {
    "fp32": 5.1e13,
    "tf32": 3.9e14,
    "fp16": 7.3e14,
    "bf16": 7.2e14,
    "fp8_e4m3": 1.41e15,
    "int8": 1.3e15,
}


def gpu_lines(
    device: Device,
    *,
    speed: float = 1.0,
    schemes: Sequence[str] = SCHEME_NAMES,
    batches: Sequence[int] = BATCHES,
    layers: Sequence[tuple[int, int]] = LAYERS,
    providers: Sequence[str] = ("torch", "triton"),
    simulated: bool = False,
    seed: int = 0,
    count: int = 20,
    clock_mhz: float = 1755.0,
) -> list[AnyRecord]:
    """Ceilings and points of one GPU; `speed` scales every rate."""
    bandwidth, rates = GPU_BANDWIDTH * speed, {name: rate * speed for name, rate in GPU_RATES.items()}
    lines: list[AnyRecord] = [
        *ceilings(device, bandwidth, rates, simulated=simulated, state=state(clock_mhz))
    ]
    for scheme in schemes:
        for layer in layers:
            for m in batches:
                case = Case.linear(SCHEMES[scheme], m, *layer)
                for provider in providers:
                    held = clock_mhz - (60 if m >= 512 else 0)
                    lines.append(
                        measurement(
                            device, scheme, m, layer, model_ns(case, bandwidth, rates, provider),
                            provider=provider, simulated=simulated, seed=seed, count=count,
                            state=state(held, reasons=4 if m >= 512 else 0, temperature_c=50 + m % 17),
                            config={"registers": 168, "spill_bytes": 0} if provider == "triton" else None,
                        )
                    )  # fmt: skip
    return lines


def gpu_run(name: str = "NVIDIA H100 80GB HBM3", run_id: str = "gpu-run", *, simulated: bool = False) -> Run:
    """One GPU, ten schemes, two providers: 300 points, marked simulated where asked."""
    device = gpu_device(name=name, kind="sim" if simulated else "cuda")
    header = info([device], run_id=run_id, simulated=simulated)
    return run(header, gpu_lines(device, simulated=simulated))


def node_run(slow: int | None = 5) -> Run:
    """A simulated node of 8 GPUs, one of them 8 % slow."""
    devices = [gpu_device(index) for index in range(8)]
    lines: list[AnyRecord] = []
    for device in devices:
        speed = 0.92 if device.index == slow else 1.0
        lines += gpu_lines(
            device, speed=speed, schemes=("bf16", "fp8-w8a8", "int4-w4a16"), batches=(1, 64, 4096),
            providers=("torch",), simulated=True, seed=device.index,
        )  # fmt: skip
    return run(info(devices, run_id="node-run", simulated=True), lines)


def failures_run() -> Run:
    """A run with every kind of failure, a flagged point and a point above its roof."""
    device = gpu_device()
    layer = LAYERS[0]
    lines: list[AnyRecord] = [*ceilings(device, GPU_BANDWIDTH, GPU_RATES, state=state())]
    lines += [
        measurement(device, "bf16", 1, layer, 12_500),
        measurement(device, "bf16", 64, layer, 5_000, provider="triton"),
        measurement(
            device, "int4-w4a16", 1, layer, 8_000, state=state(reasons=0x48),
            flags=(Flag(code="clock_moved", text="the SM clock moved 4.1 %: lock it with nvidia-smi -lgc"),),
        ),
        unmeasured(device, "int8-w8a8", 1, layer, "incorrect", "relative error 0.9 > tolerance 0.008"),
        unmeasured(device, "fp8-w8a8", 1, layer, "skipped", "fp8 needs compute capability 8.9"),
        unmeasured(device, "fp32", 4096, layer, "failed", "the worker was killed by signal 9", "triton"),
        unmeasured(device, "fp16", 4096, layer, "skipped", "needs 96636764160 bytes, 85520809984 exist"),
        Ceiling(
            device=device.id, quantity="matrix", name="fp8_e5m2", kernel="torch.fp8_e5m2", status="failed",
            reason="cuBLASLt returned CUBLAS_STATUS_NOT_SUPPORTED",
        ),
    ]  # fmt: skip
    return run(info([device], run_id="failures"), lines)


def empty_run() -> Run:
    """A run that was stopped before its first case."""
    built = run(info([gpu_device()], run_id="empty"), [])
    built.ends[-1] = RunEnd(finished_at="2026-11-20T09:12:45+00:00", outcome="interrupted", reason="Ctrl-C")
    return built


def repeated(built: Run, processes: int = 3) -> Run:
    """The same run in several fresh processes, which differ by 0.1 % each."""

    def again(m: Measurement, process: int) -> Measurement:
        if m.timing is None:
            return m
        factor = 1 + 0.001 * process
        timing = msgspec.structs.replace(m.timing, samples_ns=tuple(s * factor for s in m.timing.samples_ns))
        return msgspec.structs.replace(m, timing=timing, process=process)

    header = msgspec.structs.replace(built.info, processes=processes)
    lines = [again(m, p) for p in range(processes) for m in built.measurements if not p or m.timing]
    return run(header, [*built.ceilings, *lines], built.path)


def slower(built: Run, factor: float, *, scheme: str, provider: str, run_id: str = "gpu-run-2") -> Run:
    """The same run with one scheme of one provider slower and with more registers, as a later run."""

    def changed(m: Measurement) -> Measurement:
        if m.kernel != f"{provider}.{scheme}" or m.timing is None:
            return m
        timing = msgspec.structs.replace(m.timing, samples_ns=tuple(s * factor for s in m.timing.samples_ns))
        config = {**m.config, "registers": 204, "spill_bytes": 1132} if m.config else {}
        return msgspec.structs.replace(m, timing=timing, config=config)

    header = msgspec.structs.replace(built.info, run_id=run_id, started_at="2026-11-21T09:12:44+00:00")
    return run(header, [*built.ceilings, *(changed(m) for m in built.measurements)])
