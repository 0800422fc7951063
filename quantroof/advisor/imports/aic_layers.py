"""Tables of aiconfigurator beyond linear layers: decode attention, experts and all-reduces.

Heads are those on one GPU. An experts' row is a whole layer with its router, sort and both products; it is
stored as a call with its sizes as axes, because no single product of it was timed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quantroof.advisor.choices import choice
from quantroof.advisor.imports.aic_tables import Table, beside, parquet_rows
from quantroof.advisor.imports.links import link_ceiling, reduce_name
from quantroof.advisor.imports.rows import Row
from quantroof.advisor.layer_times import ExpertsKey, experts_call
from quantroof.kernels.attention.case import Attention
from quantroof.kernels.cases import AttentionCase, Case
from quantroof.records.lines import Ceiling

_EXPERT_FORMATS = {
    "bfloat16": "bf16",
    "fp8": "fp8-w8a8",
    "fp8_block": "fp8-block-w8a8",
    "int4_wo": "int4-w4a16",
    "nvfp4": "nvfp4-w4a4",
    "w4a16_mxfp4": "mxfp4-w4a16",
    "w4a8_mxfp4_mxfp8": "mxfp4-w4a8",
}
_LATENT, _LATENT_VALUES = 576, 512  # DeepSeek's cache: 512 latent and 64 rotary elements
_ELEMENT_BYTES = 2  # all-reduces count elements of 16 bit


def layer_rows(folder: Path, picked: Table, aside: Counter[str]) -> Iterator[Row]:
    """Decode attention and experts of one framework on one system, of the same version where there is one."""
    yield from _attention(folder, picked, aside)
    yield from _latent_attention(folder, picked)
    yield from _experts(folder, picked, aside)


def _attention(folder: Path, picked: Table, aside: Counter[str]) -> Iterator[Row]:
    query = """select num_heads, num_key_value_heads, head_dim, kv_cache_dtype, batch_size, step + isl,
        kernel_source, latency::double from {table} where window_size = 0 and attn_dtype <> 'fp8'
        and step + isl between 64 and 131072 and batch_size <= 1024"""
    for h, g, d, kv, batch, tokens, kernel, ms in _read(
        folder, picked, "attention", "generation_attention", query
    ):
        if h % g:
            aside["query heads cannot share the KV heads evenly"] += 1
            continue
        case = AttentionCase.of(_cache(kv), Attention(h, g, d, d), batch, tokens)
        yield _attention_row(picked, case, kernel, ms)


def _latent_attention(folder: Path, picked: Table) -> Iterator[Row]:
    query = """select num_heads, kv_cache_dtype, batch_size, step + isl, kernel_source, latency::double
        from {table} where mla_dtype <> 'fp8'"""
    for heads, kv, batch, tokens, kernel, ms in _read(folder, picked, "mla", "generation_mla", query):
        shape = Attention(heads, 1, _LATENT, _LATENT_VALUES, latent=True)
        yield _attention_row(picked, AttentionCase.of(_cache(kv), shape, batch, tokens), kernel, ms)


def _attention_row(picked: Table, case: AttentionCase, kernel: str, ms: float) -> Row:
    """One layer's cache is read again and again: `copies` is one."""
    return _row(picked, case, kernel, ms, case.weight_bytes, case.bytes_moved)


def _experts(folder: Path, picked: Table, aside: Counter[str]) -> Iterator[Row]:
    """Layers without expert parallelism, under the most skewed routing that was timed."""
    query = """select moe_dtype, num_tokens, hidden_size, inter_size, topk, num_experts, moe_tp_size,
        kernel_source, latency::double from {table} where moe_ep_size = 1
        and distribution = (select max(distribution) from {table})"""
    for dtype, tokens, hidden, width, each, experts, ways, kernel, ms in _read(
        folder, picked, "moe", "moe", query
    ):
        if dtype not in _EXPERT_FORMATS:
            aside[f"format {dtype} of experts is not known here"] += 1
        elif "nongated" in kernel:
            aside["experts without a gate"] += 1
        else:
            scheme = choice(_EXPERT_FORMATS[dtype])
            key = ExpertsKey(str(scheme.weight), hidden, width, each, experts, ways)
            case = experts_call(key, tokens, scheme)
            yield _row(picked, case, kernel, ms, case.bytes_moved, case.bytes_moved)


def _row(picked: Table, case: Case, kernel: str, ms: float, stored: int, moved: int) -> Row:
    return Row(
        case=case,
        kernel=f"{picked.framework}/{kernel}",
        seconds=ms * 1e-3,
        copies=1,
        weight_bytes=stored,
        bytes_moved=moved,
        fill="not stated",
    )


def all_reduces(folder: Path, picked: Table) -> Iterator[Ceiling]:
    """All-reduces in a graph by count of GPUs and size, as what one link carries in one direction."""
    query = "select kernel_source, num_gpus, message_size, latency::double from {table}"
    for kernel, gpus, elements, ms in _read(folder, picked, "comm", "custom_allreduce", query):
        if gpus < 2 or "eager" in kernel or ms <= 0:
            continue
        payload = elements * _ELEMENT_BYTES
        carried = round(2 * (gpus - 1) / gpus * payload)
        name = f"{picked.framework}/{payload}"
        yield link_ceiling(
            reduce_name(gpus), name, carried, ms * 1e-3, status="imported", method="cuda-graph"
        )


def _read(folder: Path, picked: Table, kind: str, name: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a table of another kind, none where the framework has no such table."""
    path = beside(folder, picked, kind, name)
    return [] if path is None else parquet_rows(path, query)


def _cache(dtype: str) -> str:
    return "fp8-kv" if dtype == "fp8" else "bf16-kv"
