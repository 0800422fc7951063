"""Read a Hugging Face config.json into a Model. Field names are those of transformers' classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from quantroof.advisor.config_fields import Fields
from quantroof.advisor.families import FAMILIES, dimensions
from quantroof.advisor.models import Mla, Model, Moe
from quantroof.advisor.native_format import native_format, wide_parts
from quantroof.errors import UsageError
from quantroof.files import read_text


def read_config(path: Path) -> Model:
    """Read a config.json. UsageError names the file and the field that is missing or wrong."""
    data = _object(path)
    text = data.get("text_config", data)  # multimodal models nest the language model
    text = text if isinstance(text, dict) else data
    family = next((f for f in (text.get("model_type"), data.get("model_type")) if f in FAMILIES), None)
    if family is None:
        raise _unsupported(data.get("model_type"), path)
    beside = path.with_name("hf_quant_config.json")
    quantization = _object(beside) if beside.is_file() else {}
    tied = data.get("tie_word_embeddings", text.get("tie_word_embeddings", family.startswith("gemma")))
    beside_it = {**quantization, **data}
    stored = native_format(beside_it) or native_format(text)
    parts = wide_parts(beside_it) or wide_parts(text)
    model = _model(Fields(text, str(path)), path, family, tied=bool(tied), stored=stored)
    return replace(model, wide=((stored, parts),)) if stored and parts else model


def _unsupported(family: object, path: Path) -> UsageError:
    if family in ("deepseek_v4", "deepseek_ref"):
        return UsageError(
            "DeepSeek-V4's compressed attention (`compress_ratios`) is not counted yet",
            where=str(path),
            hint="deepseek-v3.2 is the nearest that is",
        )
    names = ", ".join(FAMILIES)
    return UsageError(f"model_type {family!r} is not supported", where=str(path), hint=f"one of: {names}")


def _object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise UsageError("is not JSON", where=str(path)) from None
    if not isinstance(data, dict):
        raise UsageError("is not a model configuration: the file holds no JSON object", where=str(path))
    return data


def _model(fields: Fields, path: Path, family: str, *, tied: bool, stored: str | None) -> Model:
    data = fields.data
    hidden, heads = fields.number("hidden_size"), fields.number("num_attention_heads")
    mla = _mla(fields) if data.get("kv_lora_rank") else None
    head_dim = mla.nope_dim + mla.rope_dim if mla else fields.number("head_dim", default=hidden // heads)
    moe = _moe(fields)
    kinds = data.get("layers_block_type") or ()
    own = dimensions(family, fields, moe)
    basic: dict[str, Any] = {
        "layers": fields.number("num_hidden_layers", default=len(kinds) or None),
        "kv_heads": fields.number("num_key_value_heads", default=heads),
        "head_dim": head_dim,
        "moe": moe,
    }
    if "intermediate" not in own:
        basic["intermediate"] = fields.number("intermediate_size", default=moe.intermediate if moe else None)
    return Model(
        id=path.parent.name or path.stem,
        repository=str(path.parent),
        hidden=hidden,
        heads=heads,
        vocab=fields.number("vocab_size"),
        tied_embeddings=tied,
        max_context=fields.optional("max_position_embeddings"),
        native_dtype=str(data.get("dtype") or data.get("torch_dtype") or "bfloat16"),
        native_format=stored,
        mla=mla,
        source=str(path),
        **{**basic, **own},
    )


def _moe(fields: Fields) -> Moe | None:
    experts = fields.optional("n_routed_experts", "num_local_experts", "num_experts")
    if experts is None:
        return None
    return Moe(
        experts=experts,
        per_token=fields.number(
            "num_experts_per_tok", "experts_per_token", "num_experts_per_token", "top_k_experts"
        ),
        intermediate=fields.number("moe_intermediate_size", "intermediate_size"),
        shared=fields.optional("n_shared_experts", "num_shared_experts") or 0,
        shared_intermediate=fields.optional(
            "moe_shared_expert_intermediate_size", "shared_expert_intermediate_size", "share_expert_dim"
        ),
        dense_layers=_dense_layers(fields.data) or fields.optional("first_k_dense_replace") or 0,
        latent=fields.optional("moe_latent_size", "routed_expert_hidden_size"),
    )


def _dense_layers(data: Mapping[str, Any]) -> int:
    """Layers that a list marks as dense, 0 without such a list."""
    marks = data.get("moe_layer_freq")
    if isinstance(marks, list):
        return sum(mark == 0 for mark in marks)
    named = data.get("mlp_only_layers")
    return len(named) if isinstance(named, list) else 0


def _mla(fields: Fields) -> Mla:
    return Mla(
        kv_rank=fields.number("kv_lora_rank"),
        q_rank=fields.optional("q_lora_rank"),
        rope_dim=fields.number("qk_rope_head_dim"),
        nope_dim=fields.number("qk_nope_head_dim"),
        v_dim=fields.number("v_head_dim"),
    )
