"""Kernel tables of aiconfigurator: linear layers of an installed package or a checkout, row by row.

A table is `data/<system>/gemm/<framework>/<version>/gemm_perf.parquet`: one latency in ms per kernel, format
and shape, the mean of six replays of a CUDA graph. Its collector cycled through a number of weight sets that
the table does not record; the rules here state it by framework.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from quantroof.advisor.choices import choice
from quantroof.advisor.imports.aic_tables import Table, beside, parquet_rows
from quantroof.advisor.imports.rows import Row
from quantroof.hwprofiles.types import HardwareProfile
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import Scheme

FORMATS = {
    "bfloat16": "bf16",
    "fp8": "fp8-w8a8",
    "fp8_static": "fp8-w8a8-static",
    "fp8_block": "fp8-block-w8a8",
    "int8_wo": "int8-w8a16",
    "int4_wo": "int4-w4a16",
    "sq": "int8-w8a8",
    "nvfp4": "nvfp4-w4a4",
}
BATCHES = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192, 16384)
LEAST_SIZE = 512
# The collectors of vLLM and SGLang cycle through six weight sets, eager ones through one, TensorRT-LLM's
# through enough to fill the L2, at most five.
_CYCLED, _MOST_OF_TRTLLM = 6, 5
_EAGER_BELOW = 1024  # vLLM's fp8 blocks are timed with their launches, which decide the time below this M


_PLAIN = """select gemm_dtype, kernel_source, m, n, k, latency::double from {table}
    where ($every or (list_contains($batches, m) and n >= $least and k >= $least))"""
# A checkpoint with static scales needs no kernel that computes them, and that kernel has a table of its own.
_STATIC = """select 'fp8_static', g.kernel_source || ' without computing scales', m, n, k,
        (g.latency - s.latency)::double
    from {table} g join read_parquet($scales) s using (m, k)
    where ($every or (list_contains($batches, m) and n >= $least and k >= $least))
        and g.gemm_dtype = 'fp8' and s.quant_dtype = 'fp8' and g.latency > s.latency + 0.001"""


def rows(
    table: Table, profile: HardwareProfile, aside: Counter[str], *, every: bool = False
) -> Iterator[Row]:
    """The rows of a table. What is set aside is counted by its reason."""
    schemes = {name: choice(ours) for name, ours in FORMATS.items()}
    llc = (profile.l2_mb or 0) * (1 << 20)
    for dtype, kernel, m, n, k, latency in _read(table, every=every):
        reason = _refused(table, dtype, m, n, k, latency, schemes.get(dtype))
        if reason is not None:
            aside[reason] += 1
            continue
        yield _row(table, schemes[dtype], dtype, kernel, (m, n, k), latency, llc)


def _read(table: Table, *, every: bool) -> Iterator[tuple[Any, ...]]:
    """The table's own rows; then TensorRT-LLM's fp8 with static scales, where it can be derived."""
    values = {"every": every, "batches": list(BATCHES), "least": LEAST_SIZE}
    yield from parquet_rows(table.path, _PLAIN, **values)
    if table.framework != "trtllm":
        return
    scales = beside(Path(table.path).parents[4], table, "quantize", "computescale")
    if scales is not None:
        yield from parquet_rows(table.path, _STATIC, scales=str(scales), **values)


def _row(
    table: Table,
    scheme: Scheme,
    dtype: str,
    kernel: str,
    sizes: tuple[int, int, int],
    latency: float,
    llc: float,
) -> Row:
    m, n, k = sizes
    case, weights = Case.linear(scheme, m, n, k), _weight_bytes(scheme, n, k)
    eager = table.framework == "vllm" and dtype == "fp8_block"
    copies = 1 if eager or (table.framework == "vllm" and dtype == "nvfp4") else _CYCLED
    if table.framework == "trtllm":
        copies = max(1, min(_MOST_OF_TRTLLM, math.ceil(llc / weights)))
    fill = "normal" if table.framework != "vllm" else ("unfilled" if dtype == "bfloat16" else "constant")
    return Row(
        case=case,
        kernel=f"{table.framework}/{kernel}",
        seconds=latency * 1e-3,
        copies=copies,
        weight_bytes=weights,
        bytes_moved=weights + scheme.activation.storage_bytes(m, k) + scheme.output.storage_bytes(m, n),
        fill=fill,
        eager=eager,
    )


@lru_cache(maxsize=4096)
def _weight_bytes(scheme: Scheme, n: int, k: int) -> int:
    return scheme.weight.storage_bytes(n, k)


def _refused(
    table: Table, dtype: str, m: int, n: int, k: int, latency: float, scheme: Scheme | None
) -> str | None:
    if scheme is None:
        return f"format {dtype} is not known here"
    if m < 1 or n < 1 or k < 1 or not (math.isfinite(latency) and latency > 0):
        return "a size or a time is not positive"
    group = scheme.weight.group or scheme.activation.group
    if group is not None and k % group:
        return "the group of the scales does not divide K"
    if table.framework == "sglang" and dtype == "int8_wo":
        return "SGLang's int8_wo multiplies in int8: it is W8A8"
    if table.framework == "vllm" and dtype == "fp8_block" and m < _EAGER_BELOW:
        return f"vLLM's fp8 blocks below M = {_EAGER_BELOW} are timed with their launches"
    return None
