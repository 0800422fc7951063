"""Figures of one real H200 as a run: `tests/data/h200_ceilings_and_timers.jsonl`.

Measured on 2026-11-20 on an NVIDIA H200 SXM, driver 580.159.04, torch 2.11.0+cu130, triton 3.6.0, before
quantroof had a sampler: event pairs, few repeats. A row gives a median with the least and greatest sample, so
an imported timing holds these three and no interval narrower than their range.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quantroof.hwprofiles.types import Device, Figure, HardwareProfile
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.directory import Run
from quantroof.records.lines import AnyRecord, Ceiling, DeviceState, Measurement, Timing
from quantroof.records.run import SCHEMA, Host, RunEnd, RunInfo, RunOptions

SOURCE = Path(__file__).parent.parent / "data" / "h200_ceilings_and_timers.jsonl"
# The row's precision: our scheme, the element of its matrix roof.
_SCHEMES = {
    "fp32": "fp32",
    "tf32": "tf32",
    "fp16": "fp16",
    "bf16": "bf16",
    "fp8_fast": "fp8-w8a8-static",
    "int8": "int8-w8a8-static",
}
_STREAMS = {"raw_rd": "read", "raw_wr": "write", "raw_cpk": "copy"}


def rows() -> list[dict[str, Any]]:
    """The file, one object per line."""
    return [json.loads(line) for line in SOURCE.read_text().splitlines()]


def h200_run() -> Run:
    """The H200's GEMMs and streams; what its rows do not say stays absent."""
    given = rows()
    device = _device(given)
    lines: list[AnyRecord] = []
    for row in given:
        if row["kind"] == "dram" and row["op"] in _STREAMS:
            lines.append(_stream(device, row))
        elif row["kind"] == "gemm" and row["prec"] in _SCHEMES:
            lines += _gemm(device, row)
    run = Run(path=SOURCE, info=_info(given, device))
    run.ceilings = [line for line in lines if isinstance(line, Ceiling)]
    run.measurements = [line for line in lines if isinstance(line, Measurement)]
    run.ends = [RunEnd(finished_at="2026-11-20T00:00:00+00:00", outcome="complete")]
    return run


def _device(given: list[dict[str, Any]]) -> Device:
    torch, nvml = given[0], given[1]
    return Device(
        kind="cuda",
        index=0,
        name=nvml["name"],
        compute_capability=".".join(str(part) for part in torch["cc"]),
        sm_count=torch["sms"],
        memory_bytes=torch["mem"],
        llc_bytes=torch["l2"],
        memory_bus_bits=nvml["bus"],
        max_sm_clock_mhz=nvml["max_sm"],
        max_memory_clock_mhz=nvml["max_mem"],
        power_limit_w=nvml["power_limit"] / 1000,
        ecc=bool(nvml["ecc"][0]),
        driver=nvml["driver"],
        profile_id="h200-sxm",
    )


def _info(given: list[dict[str, Any]], device: Device) -> RunInfo:
    profile = HardwareProfile(
        id="h200-sxm", device_names=("NVIDIA H200",), vendor="NVIDIA", architecture="Hopper",
        compute_capability="9.0", sm_count=132, memory_gb=141, memory_type="HBM3e",
        bandwidth_gbps=Figure(value=4800, source="NVIDIA H200 datasheet"),
    )  # fmt: skip
    return RunInfo(
        schema=SCHEMA,
        run_id="h200-anchors",
        started_at="2026-11-20T00:00:00+00:00",
        command=(),
        suite="anchors",
        suite_source=SOURCE.name,
        options=RunOptions(suite="anchors"),
        devices=(device,),
        profiles={device.id: profile},
        versions={name: given[0][name] for name in ("torch", "triton", "cuda")},
        host=Host(),
    )


def _timing(microseconds: tuple[float, ...], size: int) -> Timing:
    return Timing(
        samples_ns=tuple(value * 1e3 for value in microseconds),
        calls_per_sample=1,
        cache="cold",
        method="cuda-events",
        stopped_by="max_samples",
        copies=1,
        rotated_bytes=size,
    )


def _stream(device: Device, row: dict[str, Any]) -> Ceiling:
    size = round(row["gbps"] * row["us"] * 1e3)
    return Ceiling(
        device=device.id, quantity="bandwidth", name=_STREAMS[row["op"]], kernel=row["op"], status="ok",
        bytes_moved=size, timing=_timing((row["us"],), size),
    )  # fmt: skip


def _gemm(device: Device, row: dict[str, Any]) -> list[AnyRecord]:
    """A measurement, and the ceiling it is for its element."""
    case = Case.linear(SCHEMES[_SCHEMES[row["prec"]]], row["M"], row["N"], row["K"])
    timing = _timing((row["us_min"], row["us"], row["us_max"]), case.weight_bytes)
    state = DeviceState(
        sm_clock_mhz=row["sm_clock"], sm_clock_source="nvml", power_w=row["power"] / 1000,
        reasons=row["reasons"],
    )  # fmt: skip
    kernel = f"torch.{row['prec']}"
    measured = Measurement(
        device=device.id, case=case.id, kernel=kernel, provider="torch", status="ok", flops=case.flops,
        bytes_moved=case.bytes_moved, timing=timing, state=state,
    )  # fmt: skip
    ceiling = Ceiling(
        device=device.id, quantity="matrix", name=case.compute.name, kernel=kernel, status="ok",
        flops=case.flops, shape=(row["M"], row["N"], row["K"]), timing=timing, state=state,
    )  # fmt: skip
    return [ceiling, measured]
