"""Read a Hugging Face config.json into a Model. Field names are those of transformers' classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantroof.advisor.models import Mla, Model, Moe
from quantroof.errors import UsageError
from quantroof.files import read_text

# Families whose layers this room counts: gated MLP, GQA or MLA attention, routed experts.
FAMILIES = (
    "llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "phi3", "gemma3", "gemma3_text",
    "gpt_oss", "deepseek_v2", "deepseek_v3",
)  # fmt: skip


class _Fields:
    """Looks up integers in a configuration; its errors name the one that is missing or not positive."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self.data, self.where = data, where

    def number(self, *names: str, default: int | None = None) -> int:
        """The first of several names for the same field."""
        for name in names:
            value = self.data.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} = {value!r} is not a positive whole number", where=self.where)
            return value
        if default is not None:
            return default
        raise UsageError(f"has no field {' or '.join(names)}", where=self.where)

    def optional(self, *names: str) -> int | None:
        """Like number, but None if every name is absent, null or zero."""
        return self.number(*names) if any(self.data.get(name) for name in names) else None


def read_config(path: Path) -> Model:
    """Read a config.json. UsageError names the file and the field that is missing or wrong."""
    try:
        data = json.loads(read_text(path))
    except ValueError:
        raise UsageError("is not JSON", where=str(path)) from None
    if not isinstance(data, dict):
        raise UsageError("is not a model configuration: the file holds no JSON object", where=str(path))
    family = data.get("model_type")
    if family not in FAMILIES:
        raise UsageError(
            f"model_type {family!r} is not supported", where=str(path), hint=f"one of: {', '.join(FAMILIES)}"
        )
    text = data.get("text_config", data)  # multimodal models nest the language model
    fields = _Fields(text if isinstance(text, dict) else data, str(path))
    return _model(fields, path, str(family))


def _model(fields: _Fields, path: Path, family: str) -> Model:
    data = fields.data
    hidden, heads = fields.number("hidden_size"), fields.number("num_attention_heads")
    layers = fields.number("num_hidden_layers")
    mla = _mla(fields) if data.get("kv_lora_rank") else None
    head_dim = mla.nope_dim + mla.rope_dim if mla else fields.number("head_dim", default=hidden // heads)
    window, full = _attention_span(fields, layers, family)
    return Model(
        id=path.parent.name or path.stem,
        repository=str(path.parent),
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=fields.number("num_key_value_heads", default=heads),
        head_dim=head_dim,
        intermediate=fields.number("intermediate_size"),
        vocab=fields.number("vocab_size"),
        # Gemma's configuration class ties by default, so its files may leave it out.
        tied_embeddings=bool(data.get("tie_word_embeddings", family.startswith("gemma"))),
        window=window,
        full_layers=full,
        max_context=fields.optional("max_position_embeddings"),
        native_dtype=str(data.get("dtype") or data.get("torch_dtype") or "bfloat16"),
        moe=_moe(fields),
        mla=mla,
        source=str(path),
    )


def _moe(fields: _Fields) -> Moe | None:
    experts = fields.optional("n_routed_experts", "num_local_experts", "num_experts")
    if experts is None:
        return None
    return Moe(
        experts=experts,
        per_token=fields.number("num_experts_per_tok", "experts_per_token"),
        intermediate=fields.number("moe_intermediate_size", "intermediate_size"),
        shared=fields.optional("n_shared_experts") or 0,
        dense_layers=fields.optional("first_k_dense_replace") or 0,
    )


def _mla(fields: _Fields) -> Mla:
    return Mla(
        kv_rank=fields.number("kv_lora_rank"),
        q_rank=fields.optional("q_lora_rank"),
        rope_dim=fields.number("qk_rope_head_dim"),
        nope_dim=fields.number("qk_nope_head_dim"),
        v_dim=fields.number("v_head_dim"),
    )


def _attention_span(fields: _Fields, layers: int, family: str) -> tuple[int | None, int]:
    """The window, and how many layers see the whole context."""
    window = fields.optional("sliding_window")
    if window is None or fields.data.get("use_sliding_window") is False:
        return None, layers
    kinds = fields.data.get("layer_types")
    if isinstance(kinds, list) and kinds:
        return window, sum(kind == "full_attention" for kind in kinds)
    every = fields.optional("sliding_window_pattern")
    if every is not None:
        return window, layers // every
    if family.startswith("gemma3"):
        return window, layers // 6  # Gemma3TextConfig's default pattern: five local layers, one global
    if family == "gpt_oss":
        return window, layers // 2  # GptOssConfig's default pattern: alternating
    return window, 0
