"""Models: shipped sizes against published counts, config.json files, and what is said of broken ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantroof.advisor.layers import linear_layers, total_parameters
from quantroof.advisor.model_lookup import catalog, model
from quantroof.errors import UsageError

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64,
    "num_key_value_heads": 8, "intermediate_size": 28672, "vocab_size": 128256, "tie_word_embeddings": False,
    "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
}  # fmt: skip
DEEPSEEK: dict[str, Any] = {
    "model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61, "num_attention_heads": 128,
    "num_key_value_heads": 128, "intermediate_size": 18432, "vocab_size": 129280, "n_routed_experts": 256,
    "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1,
    "first_k_dense_replace": 3,
    "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128,
    "v_head_dim": 128, "max_position_embeddings": 163840,
}  # fmt: skip
GPT_OSS: dict[str, Any] = {
    "model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2880, "vocab_size": 201088,
    "num_local_experts": 32, "experts_per_token": 4, "sliding_window": 128,
    "max_position_embeddings": 131072,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
}  # fmt: skip


def _written(tmp_path: Path, data: object) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(data))
    return str(path)


@pytest.mark.parametrize("name", sorted(catalog()))
def test_parameter_count_is_the_published_one(name: str) -> None:
    """The count from the sizes is within 1 % of the figure on the model's card."""
    found = model(name)

    assert found.published_b is not None
    assert total_parameters(found) / 1e9 == pytest.approx(found.published_b, rel=0.01)


@pytest.mark.parametrize(
    ("name", "active_b"),
    [("deepseek-v3", 37), ("gpt-oss-20b", 3.6), ("gpt-oss-120b", 5.1), ("mixtral-8x7b-v0.1", 12.9)],
)
def test_active_parameters_are_the_published_ones(name: str, active_b: float) -> None:
    """Parameters that one token passes through; cards count the embedding or not, hence 1.5 %."""
    layers = linear_layers(model(name))
    active = sum(x.n * x.k * x.count * (x.moe.per_token if x.moe else 1) for x in layers)

    assert active / 1e9 == pytest.approx(active_b, rel=0.015)


@pytest.mark.parametrize(
    ("config", "shipped"), [(LLAMA, "llama-3.1-70b"), (DEEPSEEK, "deepseek-v3"), (GPT_OSS, "gpt-oss-20b")]
)
def test_config_json_gives_the_shipped_model(tmp_path: Path, config: dict[str, Any], shipped: str) -> None:
    """A dense GQA model, an MLA one and a sliding-window MoE equal their shipped rows."""
    read = model(_written(tmp_path, config))
    sizes = (
        "hidden",
        "layers",
        "heads",
        "kv_heads",
        "intermediate",
        "vocab",
        "window",
        "full_layers",
        "moe",
        "mla",
    )

    assert total_parameters(model(shipped)) == total_parameters(read)
    assert [getattr(model(shipped), s) for s in sizes] == [getattr(read, s) for s in sizes]


def test_folder_and_nested_text_config_are_read(tmp_path: Path) -> None:
    """A folder stands for its config.json, and a multimodal file for its text_config."""
    text = {**LLAMA, "model_type": "gemma3_text", "sliding_window": 1024}
    _written(tmp_path, {"model_type": "gemma3", "text_config": text})

    read = model(str(tmp_path))

    assert read.window == 1024
    assert read.full_layers == 80 // 6


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"hidden_size": None}, "has no field hidden_size"),
        ({"vocab_size": -1}, "vocab_size = -1 is not a positive whole number"),
        ({"num_hidden_layers": "80"}, "num_hidden_layers = '80' is not a positive whole number"),
        ({"model_type": "mamba"}, "model_type 'mamba' is not supported"),
    ],
)
def test_broken_config_is_named(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    """A config.json without a field, or with a senseless one, gets one line that names file and field."""
    path = _written(tmp_path, {**LLAMA, **change})

    with pytest.raises(UsageError) as raised:
        model(path)

    assert f"{path}: {complaint}" in str(raised.value)


@pytest.mark.parametrize(("text", "complaint"), [("{", "is not JSON"), ("[1]", "no JSON object")])
def test_foreign_file_is_no_model(tmp_path: Path, text: str, complaint: str) -> None:
    """A file that is not a JSON object is refused."""
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(UsageError, match=complaint):
        model(str(tmp_path))


def test_unknown_model_names_the_nearest() -> None:
    """A typo is answered with the nearest ids."""
    with pytest.raises(UsageError, match=r"unknown model 'llama-3.1-70' .*llama-3.1-70b"):
        model("llama-3.1-70")


def test_catalog_refuses_an_unknown_key() -> None:
    """A misspelled key in the data is an error, not a silent default."""
    row = msgspec.to_builtins(model("phi-4"))

    with pytest.raises(msgspec.ValidationError, match="windows"):
        msgspec.convert({**row, "windows": 1}, type(model("phi-4")))
