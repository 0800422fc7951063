"""Points from results of load tools and from InferenceX: the deployment, the load and the measured times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from quantroof.advisor.choices import choice
from quantroof.advisor.model_lookup import model
from quantroof.advisor.points import Metric, Point
from quantroof.errors import QuantroofError, UsageError
from quantroof.hwprofiles import catalog
from quantroof.records.served import Served, ServedLoad, Spread

# InferenceX names systems by their GPU and a suffix for the pool of runners (`h200-trt`).
_SYSTEMS = {"h100": "h100-sxm5-80gb", "h200": "h200-sxm"}
_BITS = {"bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "fp4": 4, "int4": 4}
_STORED = {"fp8": "fp8-w8a8", "fp4": "nvfp4-w4a4", "int4": "int4-w4a16", "int8": "int8-w8a8"}
AT_A_RATE = "requests came at a rate, which fixes no batch"


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What a load tool does not record: the GPU, how many, and the formats of weights and cache."""

    gpu: str
    gpus: int
    format: str | None = None
    kv: str = "fp16"
    model: str | None = None


class InferenceRow(msgspec.Struct, frozen=True):
    """Fields read from an aggregated result of InferenceX (utils/process_result.py @843c6254)."""

    hw: str
    conc: int
    model: str
    framework: str
    precision: str
    isl: int
    osl: int
    tp: int = 1
    ep: int = 1
    dp_attention: str | bool = False
    spec_decoding: str = "none"
    is_multinode: bool = False
    median_tpot: float | None = None
    mean_tpot: float | None = None
    median_ttft: float | None = None


def is_inferencex(document: object) -> bool:
    """Whether a JSON document is one aggregated result of InferenceX, or a list of them."""
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and {"hw", "conc", "precision"} <= first.keys()


def inferencex_points(document: Any, file: Path, aside: Counter[str]) -> tuple[Point, ...]:
    """The points of aggregated results. Rows that the advisor does not model are counted by reason."""
    try:
        rows = msgspec.convert(
            document if isinstance(document, list) else [document], list[InferenceRow], strict=False
        )
    except msgspec.ValidationError as error:
        raise UsageError(f"is not a result of InferenceX: {error}", where=str(file)) from None
    points: list[Point] = []
    for row in rows:
        reason = _not_modeled(row)
        if reason is None:
            try:
                points += _row_points(row, file)
                continue
            except QuantroofError as error:
                reason = str(error)
        aside[reason] += 1
    return tuple(points)


def _not_modeled(row: InferenceRow) -> str | None:
    if row.is_multinode:
        return "several nodes are not modeled"
    if row.spec_decoding not in ("none", ""):
        return f"speculation ({row.spec_decoding}) is not modeled"
    if str(row.dp_attention).lower() == "true":
        return "data-parallel attention is not modeled"
    if row.ep > 1:
        return "experts divided among GPUs (ep > 1) are not modeled"
    return None


def _row_points(row: InferenceRow, file: Path) -> Iterator[Point]:
    name = row.hw.partition("-")[0].lower()
    gpu = _SYSTEMS.get(name, name)
    if gpu not in catalog.profiles():
        raise catalog.unknown_gpu(row.hw)
    stored = model(row.model).native_format
    if stored is None or choice(stored).weight.element.bits != _BITS.get(row.precision):
        stored = _STORED.get(row.precision, row.precision)
    times: tuple[tuple[Metric, float | None], ...] = (
        ("tpot_ms", row.median_tpot or row.mean_tpot),
        ("first_token_ms", row.median_ttft),
    )
    for metric, seconds in times:
        if seconds:
            yield Point(
                model=row.model,
                gpu=gpu,
                tp=row.tp,
                format=stored,
                framework=row.framework,
                isl=row.isl,
                osl=row.osl,
                concurrency=row.conc,
                metric=metric,
                value=seconds * 1e3,
                source=file.name,
            )


def served_points(
    served: Served, deployed: Deployment, source: str, aside: Counter[str]
) -> tuple[Point, ...]:
    """The points of a load tool's result. Loads without a fixed concurrency are counted."""
    name = deployed.model or served.header.model
    stored = deployed.format or model(name).native_format or "bf16"
    return tuple(
        point
        for load in served.loads
        for point in _load_points(load, deployed, name, stored, served.header.tool, source, aside)
    )


def _load_points(
    load: ServedLoad,
    deployed: Deployment,
    name: str,
    stored: str,
    tool: str,
    source: str,
    aside: Counter[str],
) -> Iterator[Point]:
    prompt, output = round(load.mean_prompt_tokens or 0), round(load.mean_output_tokens or 0)
    if load.concurrency is None:
        aside[AT_A_RATE] += 1
        return
    if prompt < 1 or output < 1:
        aside["no request completed"] += 1
        return
    times: tuple[tuple[Metric, Spread | None], ...] = (
        ("tpot_ms", load.per_token),
        ("first_token_ms", load.first_token),
    )
    for metric, spread in times:
        if spread is not None:
            yield Point(
                model=name,
                gpu=deployed.gpu,
                tp=deployed.gpus,
                format=stored,
                framework=f"unknown, by {tool}",
                isl=prompt,
                osl=output,
                concurrency=load.concurrency,
                metric=metric,
                value=spread.median_ns / 1e6,
                source=source,
                note="cache fp8" if deployed.kv == "fp8" else "",
            )
