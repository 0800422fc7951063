"""Write imported kernel times as a run labeled `imported`, without times below the GPU's roofline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from quantroof.advisor.imports.rows import Row
from quantroof.analysis.roofs import datasheet_roofs
from quantroof.bench.provenance import host, new_run_id, now, versions
from quantroof.hwprofiles.roofline import attainable_seconds, bound
from quantroof.hwprofiles.types import Device, HardwareProfile
from quantroof.records.directory import RunWriter
from quantroof.records.lines import Ceiling, Config, Status, Timing
from quantroof.records.run import SCHEMA, Imported, RunEnd, RunInfo, RunOptions

IMPOSSIBLE = "above the roof of the datasheet: the weights were in the cache, or the row is wrong"
# A time this much below its roof is set aside; clocks and bandwidths of boards vary by less.
_TOLERANCE = 1.02
# Cold means that three last-level caches of weights were read between two uses of one.
_COLD_CACHES = 3
# One number a row: the spread of collections of one GPU, by the roof that binds (real tables differ so).
_SPREAD = {"memory": 0.06, "compute": 0.03}


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="measurement"):
    """A measurement as it is written, without the checks that reading it repeats."""

    device: str
    case: str
    kernel: str
    provider: str
    status: Status
    flops: int
    bytes_moved: int
    timing: Timing
    config: Config


def device_of(profile: HardwareProfile) -> Device:
    """The device of an imported run. Its name says that nothing was measured here."""
    return Device(
        kind="cuda",
        index=0,
        name=f"IMPORTED {profile.device_names[0] if profile.device_names else profile.id}",
        compute_capability=profile.compute_capability,
        sm_count=profile.sm_count,
        memory_bytes=round(profile.memory_bytes),
        llc_bytes=None if profile.l2_mb is None else round(profile.l2_mb * (1 << 20)),
        profile_id=profile.id,
    )


def write_run(
    out: Path,
    profile: HardwareProfile,
    imported: Imported,
    rows: Iterable[Row],
    aside: Counter[str],
    ceilings: Iterable[Ceiling] = (),
) -> int:
    """Write ceilings and the rows that the roofs allow; count the others. Returns how many rows it wrote."""
    device = device_of(profile)
    info = RunInfo(
        schema=SCHEMA,
        run_id=f"imported-{new_run_id()}",
        started_at=now(),
        command=("quantroof", "import"),
        suite="imported",
        suite_source="",
        options=RunOptions(suite="imported", ceilings=False),
        devices=(device,),
        profiles={device.id: profile},
        versions=versions(),
        host=host(),
        imported=imported,
    )
    written = 0
    with RunWriter.create(out, info) as writer:
        for ceiling in ceilings:
            writer.write(ceiling)
        for line in _lines(device, profile, imported, rows, aside):
            writer.write(line)
            written += 1
        writer.write(RunEnd(finished_at=now(), outcome="complete"))
    return written


def _lines(
    device: Device,
    profile: HardwareProfile,
    imported: Imported,
    rows: Iterable[Row],
    aside: Counter[str],
) -> Iterable[_Line]:
    rates, bandwidth = datasheet_roofs(profile).matrix, profile.bandwidth_bytes_per_s
    for row in rows:
        case = row.case
        flops, moved, rate = case.flops, row.bytes_moved, rates.get(case.compute.name)
        if rate is None:
            aside[f"no {case.compute.name} rate is known for {profile.id}"] += 1
            continue
        if attainable_seconds(flops, moved, rate, bandwidth) > _TOLERANCE * row.seconds:
            aside[IMPOSSIBLE] += 1
            continue
        yield _Line(
            device=device.id,
            case=case.id,
            kernel=row.kernel,
            provider=imported.source.partition(" ")[0],
            status="imported",
            flops=flops,
            bytes_moved=moved,
            timing=_timing(row, device, _SPREAD[bound(flops, moved, rate, bandwidth)]),
            config={"fill": row.fill},
        )


def _timing(row: Row, device: Device, spread: float) -> Timing:
    rotated = row.copies * row.weight_bytes
    caches = None if device.llc_bytes is None else rotated / device.llc_bytes
    cold = row.flushed or (caches is not None and caches >= _COLD_CACHES)
    how_warm = "weights of unknown share" if caches is None else f"weights: {caches:.2g} caches were rotated"
    return Timing(
        samples_ns=(row.seconds * 1e9,),
        calls_per_sample=1,
        cache="cold" if cold else "hot",
        method="cuda-eager" if row.eager else "cuda-graph",
        stopped_by="max_samples",
        copies=row.copies,
        rotated_bytes=rotated,
        hot=() if cold else (how_warm,),
        spread=spread,
    )
