"""What a kernel costs beyond its roof: a fixed time and efficiencies, by operation, format, GPU and engine.

The rows are fitted to kernel times that others measured (kernel_costs.csv names source and points). A GPU
without rows takes those of its nearest relative, a format those of the kernel that is most like its own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from statistics import median
from typing import Literal

import msgspec

Operation = Literal[
    "linear", "decode-attention", "prefill-attention", "latent-attention", "experts", "all-reduce", "short"
]
_CONSTANTS = ("fixed_us", "memory", "compute", "rows", "median_error", "p90_error")
# Whose rows stand in for a compute capability: the same generation, then the nearest memory and matrix units.
# Weight-only kernels were timed on A100, L40S and H200 alone.
_RELATIVES: tuple[tuple[tuple[int, int], tuple[str, ...]], ...] = (
    ((12, 0), ("rtx-pro-6000-server", "l40s")),
    ((10, 0), ("b200",)),
    ((9, 0), ("h100-sxm5-80gb", "h200-sxm")),
    ((8, 6), ("l40s",)),
    ((8, 0), ("a100-sxm4-80gb",)),
    ((7, 5), ("l40s",)),
    ((0, 0), ("a100-sxm4-80gb",)),
)
# The GPU whose all-reduces stand for a kind of link.
_LINKS = (
    ("NVLink 5", "b200"),
    ("NVLink 4", "h100-sxm5-80gb"),
    ("NVLink", "a100-sxm4-80gb"),
    ("PCIe 5", "rtx-pro-6000-server"),
    ("PCIe", "l40s"),
)
_LAST_RESORTS = ("h100-sxm5-80gb", "h200-sxm")
# Formats whose kernels the tables lack, and the format whose kernel is most like theirs.
_LIKE: dict[str, tuple[str, ...]] = {
    "fp32": ("bf16",),
    "tf32": ("bf16",),
    "fp16": ("bf16",),
    "int8-w8a8": ("fp8-w8a8",),
    "int8-w8a8-static": ("fp8-w8a8-static", "int8-w8a8", "fp8-w8a8"),
    "fp8-w8a8-static": ("fp8-w8a8",),
    "fp8-block-w8a8": ("fp8-w8a8",),
    "fp8-block-w8a8-static": ("fp8-block-w8a8", "fp8-w8a8"),
    "fp8-w8a8": ("fp8-block-w8a8", "int8-w8a8"),
    "mxfp4-w4a8": ("nvfp4-w4a4", "fp8-w8a8"),
    "mxfp4-w4a4": ("nvfp4-w4a4", "fp8-w8a8"),
    "mxfp8-w8a8": ("fp8-block-w8a8", "fp8-w8a8"),
    "fp8": ("fp16",),  # formats of a cache
}
_WEIGHT_ONLY = ("int8-w8a16", "int4-w4a16", "bf16")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The constants of one kernel. `memory` and `compute` are shares of a roof, None if no roof entered."""

    operation: str
    format: str
    gpu: str
    engine: str
    ways: int | None = None
    fixed_us: float = 0.0
    memory: float | None = None
    compute: float | None = None
    rows: float | None = None
    points: int = 0
    median_error: float | None = None
    p90_error: float | None = None

    def seconds(self, by_memory: float, by_compute: float, rows: float) -> float:
        """The time of work that its roofs alone would allow in `by_memory` and `by_compute` seconds."""
        slope = 1 + (self.rows or 0.0) / max(rows, 1.0)
        limits = by_memory / (self.memory or 1.0), by_compute * slope / (self.compute or 1.0)
        return self.fixed_us * 1e-6 + max(limits)


@lru_cache(maxsize=1)
def shipped() -> tuple[Cost, ...]:
    """Every row of kernel_costs.csv."""
    text = (files("quantroof") / "advisor" / "kernel_costs.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    rows = ({key: value or None for key, value in row.items()} for row in csv.DictReader(lines))
    costs = (msgspec.convert({**row, "format": row["format"] or ""}, Cost, strict=False) for row in rows)
    return tuple(costs)


@lru_cache(maxsize=4096)
def cost(operation: Operation, name: str, gpu: str, capability: tuple[int, int] | None) -> Cost | None:
    """The constants of an operation: first by format, then by GPU; None where no row is like it."""
    rows = [row for row in shipped() if row.operation == operation]
    for form in (name, *_like(name)) if operation != "short" else ("",):
        for relative in (gpu, *_relatives(capability), *_LAST_RESORTS):
            pooled = _pooled(row for row in rows if row.format == form and row.gpu == relative)
            if pooled is not None:
                return pooled
    return None


@lru_cache(maxsize=256)
def reduce_cost(link: str, ways: int) -> Cost | None:
    """The constants of an all-reduce over a kind of link, as `NVLink 4`; None where no table has that kind.

    The tables have 2, 4 and 8 GPUs; others take the next larger count.
    """
    gpu = next((gpu for kind, gpu in _LINKS if link.startswith(kind)), None)
    measured = next((count for count in (2, 4) if ways <= count), 8)
    rows = shipped()
    return _pooled(r for r in rows if (r.operation, r.gpu, r.ways) == ("all-reduce", gpu, measured))


def _pooled(rows: Iterable[Cost]) -> Cost | None:
    """The medians of the engines' constants: served engines are other versions than those of the tables."""
    alike = list(rows)
    if not alike:
        return None
    middle = {name: _median([getattr(row, name) for row in alike]) for name in _CONSTANTS}
    return msgspec.structs.replace(
        alike[0], engine=" ".join(row.engine for row in alike), points=sum(r.points for r in alike), **middle
    )


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _like(name: str) -> tuple[str, ...]:
    base = name.rpartition("-g")[0] if name.rpartition("-g")[2].isdigit() else name
    if base.endswith("a16"):
        return (base, *_WEIGHT_ONLY)
    return (base, *_LIKE.get(base, ()), "bf16")


def _relatives(capability: tuple[int, int] | None) -> tuple[str, ...]:
    if capability is None:
        return ()
    return next(gpus for least, gpus in _RELATIVES if capability >= least)
