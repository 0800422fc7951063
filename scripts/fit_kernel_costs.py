"""Fit the advisor's kernel costs to tables of kernel times that others measured; prints its CSV.

    python scripts/fit_kernel_costs.py FOLDER > quantroof/advisor/kernel_costs.csv

FOLDER holds Parquet extracts of aiconfigurator's tables (gemm, attention_decode, attention_prefill,
latent_attention_decode, moe, all_reduce, activation_quant). Per operation, format, GPU and engine it fits

    t = fixed + max(bytes / (memory x bandwidth), operations (1 + rows / M) / (compute x peak))

by least absolute error of log t. Only kernel times enter: no time of a served model does.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from quantroof.advisor.links import link_of
from quantroof.analysis.roofs import datasheet_roofs
from quantroof.files import require
from quantroof.hwprofiles.catalog import profiles

Array = np.ndarray[Any, np.dtype[np.float64]]
# The name of a table's dtype: our scheme, bits of a weight with its scales, and what it is multiplied in.
FORMATS = {
    "bfloat16": ("bf16", 16.0, "bf16"),
    "fp8": ("fp8-w8a8", 8.0, "fp8_e4m3"),
    "fp8_static": ("fp8-w8a8-static", 8.0, "fp8_e4m3"),
    "fp8_block": ("fp8-block-w8a8", 8.002, "fp8_e4m3"),
    "int8_wo": ("int8-w8a16", 8.0, "bf16"),
    "int4_wo": ("int4-w4a16", 4.0, "bf16"),
    "sq": ("int8-w8a8", 8.0, "int8"),
    "nvfp4": ("nvfp4-w4a4", 4.5, "fp4"),
    "w4a16_mxfp4": ("mxfp4-w4a16", 4.25, "bf16"),
    "w4a8_mxfp4_mxfp8": ("mxfp4-w4a8", 4.25, "fp8_e4m3"),
}
STARTS = ((4.0, 0.8, 0.6, 10.0), (10.0, 0.7, 0.4, 100.0), (30.0, 0.6, 0.4, 40.0))
COLUMNS = (
    "operation", "format", "gpu", "engine", "ways", "fixed_us", "memory", "compute", "rows", "points",
    "median_error", "p90_error",
)  # fmt: skip


def main() -> int:
    """Write one row per fit to standard output."""
    folder = Path(sys.argv[1])
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    fits = (linear, decode_attention, prefill_attention, latent_attention, experts, all_reduce, short_kernels)
    for fit in fits:
        writer.writerows(fit(folder))
    return 0


def table(folder: Path, query: str) -> Any:
    """A query over the extracts, as a data frame; `{name}` in it is the file of that name."""
    duckdb = require("duckdb", "reading Parquet", "store")
    files = {path.stem: f"'{path}'" for path in folder.glob("*.parquet")}
    return duckdb.sql(query.format(**files)).df()


def linear(folder: Path) -> Iterator[list[object]]:
    """Linear layers of at least 4 M weights, from memory where the last-level cache is large.

    Static scales: without the part that computes them.
    """
    plain = """select profile, framework, dtype, m::double m, n::double n, k::double k, latency_us t, copies
        from {gemm} where n >= 1024 and k >= 1024 and n::double * k >= 4e6
        and not (framework = 'vllm' and dtype = 'fp8_block')"""
    static = """select g.profile, g.framework, 'fp8_static' dtype, g.m::double m, n::double n, g.k::double k,
        g.latency_us - q.latency_us t, g.copies
        from {gemm} g join {activation_quant} q using (profile, framework, m, k)
        where q.part = 'scale' and q.dtype = 'fp8' and g.dtype = 'fp8' and g.framework = 'trtllm'
        and n >= 1024 and k >= 1024 and n::double * k >= 4e6 and t > 1"""
    for query in (plain, static):
        for (gpu, engine, dtype), rows in table(folder, query).groupby(["profile", "framework", "dtype"]):
            name, bits, element = FORMATS[dtype]
            weights = rows.n * rows.k * bits / 8
            cold = rows[(weights * rows.copies > 1.5 * _cache_bytes(gpu)) | (rows.m >= 1024)]
            m, n, k = cold.m.values, cold.n.values, cold.k.values
            moved = n * k * bits / 8 + 2 * m * (n + k)
            yield [
                "linear", name, gpu, engine, "",
                *fitted(gpu, element, moved, 2 * m * n * k, cold.t.values, m),
            ]  # fmt: skip


def decode_attention(folder: Path) -> Iterator[list[object]]:
    """Attention of one new token with grouped heads, in bytes of the cache that it reads."""
    query = """select *, batch::double * tokens * kv_heads * head_dim * 2 * if(kv_dtype = 'fp8', 1, 2) cache,
        cache + batch::double * heads * head_dim * 4 moved from {attention_decode}"""
    for (gpu, engine, dtype), rows in table(folder, query).groupby(["profile", "framework", "kv_dtype"]):
        cold = rows[(rows.cache < 3e5) | (rows.cache > 3 * _cache_bytes(gpu))]
        t = cold.latency_us.values
        yield [
            "decode-attention", _cache_format(dtype), gpu, engine, "",
            *fitted(gpu, None, cold.moved.values, np.zeros(len(t)), t, np.ones(len(t))),
        ]  # fmt: skip


def prefill_attention(folder: Path) -> Iterator[list[object]]:
    """Causal attention of whole prompts, in operations; the peak is that of bf16."""
    query = """select *, 2.0 * batch * tokens * tokens * heads * head_dim flops, tokens::double n
        from {attention_prefill} where batch * tokens <= 200000"""
    for (gpu, engine, dtype), rows in table(folder, query).groupby(["profile", "framework", "kv_dtype"]):
        t = rows.latency_us.values
        yield [
            "prefill-attention", _cache_format(dtype), gpu, engine, "",
            *fitted(gpu, "bf16", np.zeros(len(t)), rows.flops.values, t, rows.n.values),
        ]  # fmt: skip


def latent_attention(folder: Path) -> Iterator[list[object]]:
    """Attention of one new token over DeepSeek's latent cache of 576 elements."""
    query = """select *, batch::double * tokens * 576 * if(kv_dtype = 'fp8', 1, 2) moved,
        2.0 * batch * tokens * heads * (576 + 512) flops from {latent_attention_decode}"""
    for (gpu, engine, dtype), rows in table(folder, query).groupby(["profile", "framework", "kv_dtype"]):
        t = rows.latency_us.values
        yield [
            "latent-attention", _cache_format(dtype), gpu, engine, "",
            *fitted(gpu, "bf16", rows.moved.values, rows.flops.values, t, np.ones(len(t)), ramp=False),
        ]  # fmt: skip


def experts(folder: Path) -> Iterator[list[object]]:
    """Routed experts of one layer with router, sort and both products; skewed routing, as models have."""
    query = "select * replace (tokens::double as tokens) from {moe} where distribution <> 'balanced'"
    for (gpu, engine, dtype), rows in table(folder, query).groupby(["profile", "framework", "dtype"]):
        if dtype not in FORMATS:
            continue
        name, bits, element = FORMATS[dtype]
        width, tokens = rows.intermediate.values / rows.tp.values, rows.tokens.values
        each, hidden = rows.per_token.values * tokens, rows.hidden.values
        hit = rows.experts.values * (1 - (1 - rows.per_token.values / rows.experts.values) ** tokens)
        moved = hit * 3.0 * hidden * width * bits / 8 + each * (4 * hidden + 6 * width)
        m = np.maximum(each / rows.experts.values, 1)
        yield [
            "experts", name, gpu, engine, "",
            *fitted(gpu, element, moved, 6.0 * each * hidden * width, rows.latency_us.values, m),
        ]  # fmt: skip


def all_reduce(folder: Path) -> Iterator[list[object]]:
    """All-reduces in a graph up to 34 MB; `memory` is the share of the link's rate in one direction."""
    query = "select *, bytes::double moved from {all_reduce} where mode = 'graph' and bytes <= 40000000"
    for (gpu, engine, ways), rows in table(folder, query).groupby(["profile", "library", "gpus"]):
        link = link_of(gpu)
        if link is None:
            continue
        wire = 2 * (ways - 1) / ways * rows.moved.values / link.bytes_per_s * 1e6
        t = rows.latency_us.values
        yield ["all-reduce", "bf16", gpu, engine, ways, *_search(wire, np.zeros(len(t)), t, np.ones(len(t)))]


def short_kernels(folder: Path) -> Iterator[list[object]]:
    """A kernel that does little but start: the conversion of up to 16 rows of activations to fp8."""
    query = """select profile, framework, median(latency_us) t, count(*) n from {activation_quant}
        where part = 'convert' and m <= 16 and k <= 8192 and framework <> 'sglang'
        group by all order by all"""
    for row in table(folder, query).itertuples():
        yield ["short", "", row.profile, row.framework, "", round(row.t, 3), "", "", "", row.n, "", ""]


def fitted(
    gpu: str, element: str | None, moved: Array, flops: Array, t: Array, m: Array, *, ramp: bool = True
) -> list[object]:
    """The cells of a fit against the datasheet of a GPU."""
    profile = profiles()[gpu]
    peaks = datasheet_roofs(profile).matrix
    by_compute = flops * 0 if element is None else flops / peaks[element] * 1e6
    return _search(moved / profile.bandwidth_bytes_per_s * 1e6, by_compute, t, m, ramp=ramp)


def _search(memory: Array, compute: Array, t: Array, m: Array, *, ramp: bool = True) -> list[object]:
    """A pattern search over the logarithms of the four constants; unused ones are left empty."""
    t = t.astype(np.float64)
    use = np.array([True, bool(memory.any()), bool(compute.any()), bool(compute.any()) and ramp])

    def model(x: Array) -> Array:
        fixed, e, c, rows = np.exp(x)
        slope = 1 + rows / m if use[3] else 1.0
        return np.asarray(fixed + np.maximum(memory / e, compute * slope / c))

    def loss(x: Array) -> float:
        over = np.maximum(x[1:3] - np.log([1.0, 1.0]), 0).sum()  # no kernel is faster than a roof
        return float(np.abs(np.log(model(x) / t)).mean() + 10 * over)

    best = min((_descend(np.log(start), use, loss) for start in STARTS), key=loss)
    fixed, e, c, rows = np.exp(best)
    error = np.abs(model(best) / t - 1)
    cells = [round(float(v), 3) if u else "" for v, u in zip((fixed, e, c), use[:3], strict=True)]
    last = round(float(rows), 1) if use[3] else ""
    return [*cells, last, len(t), round(float(np.median(error)), 3), round(float(np.quantile(error, 0.9)), 3)]


def _descend(x: Array, use: Array, loss: Any) -> Array:
    step, value = 0.5, loss(x)
    while step > 0.004:
        moved = False
        for i in np.flatnonzero(use):
            for sign in (1, -1):
                other = x.copy()
                other[i] += sign * step
                if (new := loss(other)) < value - 1e-6:
                    x, value, moved = other, new, True
        step = step if moved else step / 2
    return x


def _cache_bytes(gpu: str) -> float:
    """The last-level cache of a GPU where it is large enough to hold what a benchmark reads again."""
    size = (profiles()[gpu].l2_mb or 0) * 1e6
    return size if size > 9e7 else 0.0


def _cache_format(dtype: str) -> str:
    return "fp8" if dtype == "fp8" else "fp16"


if __name__ == "__main__":
    raise SystemExit(main())
