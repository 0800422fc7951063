"""Runs that the report must show well: a node with a slow GPU, failures, nothing at all, a later run."""

from __future__ import annotations

import msgspec

from quantroof.records.directory import Run
from quantroof.records.lines import AnyLine, Ceiling, Flag, Measurement, RunEnd
from tests.builders import (
    GPU_BANDWIDTH,
    GPU_RATES,
    LAYERS,
    ceilings,
    gpu_device,
    gpu_lines,
    info,
    measurement,
    run,
    state,
    unmeasured,
)


def node_run(slow: int | None = 5) -> Run:
    """A simulated node of 8 GPUs, one of them 8 % slow."""
    devices = [gpu_device(index) for index in range(8)]
    lines: list[AnyLine] = []
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
    lines: list[AnyLine] = [*ceilings(device, GPU_BANDWIDTH, GPU_RATES, state=state())]
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
