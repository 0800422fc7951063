"""What each family of models does differently: windows, recurrent layers, experts in some layers only.

The dimensions of a family are keyword arguments of `Model`, which replace those that all families share.
Their origin is the model's class in transformers or vLLM, and the files that `models_2026.toml` names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from quantroof.advisor.config_fields import Fields
from quantroof.advisor.models import Heads, Moe, Recurrent, SparseIndex
from quantroof.errors import UsageError

_Dimensions = dict[str, Any]


def dimensions(family: str, fields: Fields, moe: Moe | None) -> _Dimensions:
    """The sizes that this family has of its own."""
    return FAMILIES[family](fields, moe)


def _windows(every: int | None = None) -> Callable[[Fields, Moe | None], _Dimensions]:
    """Layers with a sliding window as `layer_types` marks them, else all but each `every`-th one."""

    def read(fields: Fields, _moe: Moe | None) -> _Dimensions:
        window, full = _attention_span(fields, every)
        return {"window": window, "full_layers": full}

    return read


def _attention_span(fields: Fields, every: int | None) -> tuple[int | None, int]:
    layers = fields.number("num_hidden_layers")
    window = fields.optional("sliding_window")
    if window is None or fields.data.get("use_sliding_window") is False:
        return None, layers
    kinds = fields.data.get("layer_types")
    if isinstance(kinds, list) and kinds:
        return window, sum(kind == "full_attention" for kind in kinds)
    stated = fields.optional("sliding_window_pattern") or every
    return window, 0 if stated is None else layers // stated


def _indexed(fields: Fields, _moe: Moe | None) -> _Dimensions:
    """DeepSeek-V3.2 and GLM-5: an indexer in every layer."""
    index = SparseIndex(
        heads=fields.number("index_n_heads"),
        head_dim=fields.number("index_head_dim"),
        top_k=fields.number("index_topk"),
    )
    return {"full_layers": fields.number("num_hidden_layers"), "index": index}


def _minimax_m3(fields: Fields, _moe: Moe | None) -> _Dimensions:
    """Block-sparse attention with an indexer in the layers that a list marks."""
    layers, sparse = fields.number("num_hidden_layers"), fields.inner("sparse_attention_config")
    index = SparseIndex(
        heads=sparse.number("sparse_num_index_heads"),
        head_dim=sparse.number("sparse_index_dim"),
        top_k=sparse.number("sparse_topk_blocks") * sparse.number("sparse_block_size"),
        layers=sum(sparse.marks("sparse_attention_freq", layers)),
    )
    return {"full_layers": layers, "index": index, "intermediate": fields.number("dense_intermediate_size")}


def _llama4(fields: Fields, moe: Moe | None) -> _Dimensions:
    """Experts in every few layers, chunks of attention in three of four layers, one shared expert."""
    assert moe is not None
    layers = fields.number("num_hidden_layers")
    dense = layers - layers // fields.number("interleave_moe_layer_step", default=1)
    return {
        "window": fields.number("attention_chunk_size"),
        "full_layers": layers // 4,
        "intermediate": fields.number("intermediate_size_mlp"),
        "moe": replace(moe, shared=1, dense_layers=dense),
    }


def _linear_attention(fields: Fields, _moe: Moe | None) -> _Dimensions:
    """Qwen3-Next and Qwen3.5: Gated DeltaNet in most layers, gated attention in the others."""
    layers = fields.number("num_hidden_layers")
    kinds = fields.data.get("layer_types")
    marked = isinstance(kinds, list) and sum(kind == "full_attention" for kind in kinds)
    full = marked or layers // fields.number("full_attention_interval")
    key, value = fields.number("linear_key_head_dim"), fields.number("linear_value_head_dim")
    value_heads = fields.number("linear_num_value_heads")
    keys, values = key * fields.number("linear_num_key_heads"), value * value_heads
    convolved = (2 * keys + values) * (fields.number("linear_conv_kernel_dim") - 1)
    recurrent = Recurrent(
        layers=layers - full,
        inputs=2 * keys + 2 * values + 2 * value_heads,
        inner=values,
        state=value_heads * key * value + convolved,
    )
    gate = bool(fields.data.get("attn_output_gate", True))
    return {"full_layers": full, "recurrent": recurrent, "query_gate": gate}


def _kimi_linear(fields: Fields, _moe: Moe | None) -> _Dimensions:
    """Kimi Delta Attention in most layers, latent attention in the others."""
    own, layers = fields.inner("linear_attn_config"), fields.number("num_hidden_layers")
    full, width = own.data.get("full_attn_layers"), own.number("head_dim")
    if not isinstance(full, list) or not 0 < len(full) < layers:
        raise UsageError("full_attn_layers does not name some of the layers", where=own.where)
    heads = own.number("num_heads")
    inner, kernel = heads * width, own.number("short_conv_kernel_size")
    recurrent = Recurrent(
        layers=layers - len(full),
        inputs=4 * inner + width + heads,
        inner=inner,
        state=heads * width * width + 3 * inner * (kernel - 1),
    )
    return {"full_layers": len(full), "recurrent": recurrent}


def _gemma4(fields: Fields, moe: Moe | None) -> _Dimensions:
    """Wider heads in the global layers, whose keys are also values; experts beside an ordinary MLP."""
    window, full = _attention_span(fields, None)
    local = Heads(
        heads=fields.number("num_attention_heads"),
        kv_heads=fields.number("num_key_value_heads"),
        head_dim=fields.number("head_dim"),
    )
    beside = None if moe is None else replace(moe, shared_intermediate=fields.number("intermediate_size"))
    return {
        "window": window,
        "full_layers": full,
        "local": local,
        "head_dim": fields.number("global_head_dim", "head_dim"),
        "kv_heads": fields.number("num_global_key_value_heads", "num_key_value_heads"),
        "keys_are_values": bool(fields.data.get("attention_k_eq_v")),
        "moe": beside,
    }


def _mimo_v2(fields: Fields, _moe: Moe | None) -> _Dimensions:
    """A window in the layers that a list marks, with heads of their own."""
    layers = fields.number("num_hidden_layers")
    local = Heads(
        heads=fields.number("swa_num_attention_heads"),
        kv_heads=fields.number("swa_num_key_value_heads"),
        head_dim=fields.number("swa_head_dim"),
        v_dim=fields.number("swa_v_head_dim"),
    )
    full = fields.marks("hybrid_layer_pattern", layers).count(0)
    return {
        "window": fields.number("sliding_window"),
        "full_layers": full,
        "v_dim": fields.number("v_head_dim"),
        "local": local,
    }


_NEMOTRON_LETTERS = {"mamba": "M", "attention": "*", "moe": "E", "mlp": "-"}


def _nemotron_h(fields: Fields, moe: Moe | None) -> _Dimensions:
    """One mixer per layer, by a letter: M for Mamba-2, * for attention, E for experts, - for an MLP."""
    kinds = fields.data.get("layers_block_type") or fields.data.get("hybrid_override_pattern") or ()
    count = dict.fromkeys("M*E-", 0)
    for kind in kinds:
        letter = _NEMOTRON_LETTERS.get(kind, kind)
        if letter not in count:
            raise UsageError(f"a layer is of the kind {kind!r}", where=fields.where)
        count[letter] += 1
    heads, groups = fields.number("mamba_num_heads"), fields.number("n_groups")
    inner, size = heads * fields.number("mamba_head_dim"), fields.number("ssm_state_size")
    mixed = inner + 2 * groups * size
    recurrent = Recurrent(
        layers=count["M"],
        inputs=inner + mixed + heads,
        inner=inner,
        state=inner * size + mixed * (fields.number("conv_kernel") - 1),
    )
    dense = count["-"]
    return {
        "full_layers": count["*"],
        "sliding_layers": 0,
        "mlp_layers": dense + count["E"],
        "gated": False,
        "recurrent": recurrent,
        "moe": None if moe is None else replace(moe, dense_layers=dense),
    }


def _nemotron_nas(fields: Fields, _moe: Moe | None) -> _Dimensions:
    """Layers that a search left out or narrowed: their mean width, which keeps bytes and operations."""
    layers, hidden = fields.number("num_hidden_layers"), fields.number("hidden_size")
    blocks = fields.marks("block_configs", layers)
    attention = [b["attention"] for b in blocks if b.get("attention", {}).get("n_heads_in_group")]
    widths = [_rounded(b["ffn"]["ffn_mult"] * hidden) for b in blocks if b.get("ffn", {}).get("ffn_mult")]
    if not attention or not widths:
        raise UsageError("block_configs name no attention or no MLP", where=fields.where)
    groups = {a["n_heads_in_group"] for a in attention}
    if len(groups) > 1:
        raise UsageError(f"layers differ in heads per group: {sorted(groups)}", where=fields.where)
    return {
        "full_layers": len(attention),
        "sliding_layers": 0,
        "mlp_layers": len(widths),
        "kv_heads": fields.number("num_attention_heads") // groups.pop(),
        "intermediate": round(sum(widths) / len(widths) / 128) * 128,
    }


def _rounded(width: float) -> int:
    """Two thirds of twice a width, in whole 256 (DeciLM's rule for gated MLPs)."""
    return -(-int(2 * width / 3) // 256) * 256


FAMILIES: dict[str, Callable[[Fields, Moe | None], _Dimensions]] = {
    **dict.fromkeys(
        (
            *("llama", "mistral", "mistral3", "mixtral", "qwen2", "qwen3", "qwen3_moe", "phi3"),
            *("qwen3_vl", "qwen3_vl_text", "qwen3_vl_moe", "qwen3_vl_moe_text", "mimo", "minimax_m2"),
            *("deepseek_v2", "deepseek_v3", "kimi_k2", "kimi_k25", "glm4", "glm4_moe", "step3p7"),
            *("olmo2", "olmo3", "granite", "smollm3", "seed_oss"),
        ),
        _windows(),
    ),
    **dict.fromkeys(("gemma2", "gpt_oss"), _windows(2)),  # alternating layers by default
    **dict.fromkeys(("gemma3", "gemma3_text"), _windows(6)),  # five local layers, one global
    **dict.fromkeys(("deepseek_v32", "glm_moe_dsa"), _indexed),
    **dict.fromkeys(("minimax_m3", "minimax_m3_vl"), _minimax_m3),
    **dict.fromkeys(("llama4", "llama4_text"), _llama4),
    **dict.fromkeys(
        ("qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"), _linear_attention
    ),
    **dict.fromkeys(("kimi_linear", "kimi_k3"), _kimi_linear),
    **dict.fromkeys(("gemma4", "gemma4_text"), _gemma4),
    "mimo_v2_flash": _mimo_v2,
    "nemotron_h": _nemotron_h,
    "nemotron-nas": _nemotron_nas,
}
"""Families whose layers this room counts, with what reads their own dimensions."""
