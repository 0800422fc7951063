"""Models: shipped sizes against published counts, config.json files, and what is said of broken ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantroof.advisor.choices import kv_format
from quantroof.advisor.layers import linear_layers, total_parameters
from quantroof.advisor.memory import kv_bytes, kv_read_bytes, state_bytes
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
    """The count is within 1 % of the card's figure, or rounds to it; a model without one says why."""
    found = model(name)

    if found.published_b is None:
        assert found.note
        return
    rounding = 0.5 if found.published_b == round(found.published_b) else 0.05
    most = max(0.01 * found.published_b, rounding)
    assert total_parameters(found) / 1e9 == pytest.approx(found.published_b, abs=most)


@pytest.mark.parametrize(
    ("name", "active_b"),
    [
        ("deepseek-v3", 37),
        ("gpt-oss-20b", 3.6),
        ("gpt-oss-120b", 5.1),
        ("mixtral-8x7b-v0.1", 12.9),
        ("nemotron-3-ultra-550b-a55b", 55),
        ("nemotron-3-nano-30b-a3b", 3.2),
        ("kimi-k2", 32),
        ("gemma-4-26b-a4b", 3.8),
        ("mimo-v2-flash", 15),
        ("glm-5", 40.5),
    ],
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


@pytest.mark.parametrize(
    ("pasted", "shipped", "stored"),
    [
        ("Qwen/Qwen3-8B", "qwen3-8b", None),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b", None),
        ("https://huggingface.co/Qwen/Qwen3-32B-FP8", "qwen3-32b", "fp8-block-w8a8"),
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", "qwen2.5-72b", "int4-w4a16"),
        ("RedHatAI/Meta-Llama-3.1-70B-Instruct-FP8-dynamic", "llama-3.1-70b", "fp8-w8a8"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b-v0.1", None),
        ("mixtral-8x7b", "mixtral-8x7b-v0.1", None),
        ("Mixtral-8x22B", "mixtral-8x22b-v0.1", None),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-r1", "fp8-block-w8a8"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b", None),
        ("openai/gpt-oss-120b", "gpt-oss-120b", "mxfp4-w4a16"),
        ("nvidia/Gemma-4-31B-IT-NVFP4", "gemma-4-31b", "nvfp4-w4a4"),
    ],
)
def test_names_are_understood_as_people_paste_them(pasted: str, shipped: str, stored: str | None) -> None:
    """With owner or address, with the ending of a tuning, a date or a format, in any case."""
    read = model(pasted)

    assert (read.id, read.native_format) == (shipped, stored)


def test_a_verified_model_names_the_commit_of_its_file() -> None:
    """What its sizes were read from cannot change; any other row says that it is not verified."""
    unnamed = {m.id for m in catalog().values() if not re.search(r"@[0-9a-f]{7,40}", m.source)}

    assert unnamed <= {m.id for m in catalog().values() if not m.verified}


@pytest.mark.parametrize(
    ("stated", "stored"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block-w8a8"),
        ({"quant_method": "fp8", "activation_scheme": "static"}, "fp8-w8a8-static"),
        ({"quant_method": "mxfp4"}, "mxfp4-w4a16"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4-w4a4"),
        ({"quant_method": "gptq", "bits": 8}, "int8-w8a16"),
        ({"quant_method": "awq", "bits": 4}, "int4-w4a16"),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {
            "weights": {"num_bits": 8, "type": "int"}, "input_activations": {"num_bits": 8}}}}, "int8-w8a8"),
        ({"quant_method": "unheard-of"}, None),
        ("fp8", None),
    ],
)  # fmt: skip
def test_native_format_is_read_from_the_configuration(
    tmp_path: Path, stated: object, stored: str | None
) -> None:
    """An FP8, MXFP4 or NVFP4 checkpoint is not planned as if it were bf16."""
    assert model(_written(tmp_path, {**LLAMA, "quantization_config": stated})).native_format == stored


def test_compressed_attention_is_refused_with_its_name(tmp_path: Path) -> None:
    """DeepSeek-V4 caches compressed tokens, which this room does not count."""
    with pytest.raises(UsageError, match=r"compressed attention .`compress_ratios`. is not counted"):
        model(_written(tmp_path, {**LLAMA, "model_type": "deepseek_v4"}))


def test_a_cache_of_a_hybrid_model_has_a_fixed_part() -> None:
    """Qwen3.5-27B keeps 48 states of 48 x 128 x 128 fp32, and a cache in 16 of its 64 layers."""
    hybrid, fp16 = model("qwen3.5-27b"), kv_format("fp16")
    grown = kv_bytes(hybrid, fp16, 2048) - kv_bytes(hybrid, fp16, 1024)
    convolved = (2 * 16 * 128 + 48 * 128) * 3

    assert grown == 1024 * 16 * 2 * 4 * 256 * 2
    assert state_bytes(hybrid) == 48 * (48 * 128 * 128 + convolved) * 4


def test_an_indexer_bounds_what_attention_reads() -> None:
    """DeepSeek-V3.2 reads 2048 latents per layer of a long context, and all keys of its indexer."""
    sparse, fp16 = model("deepseek-v3.2"), kv_format("fp16")

    assert kv_read_bytes(sparse, fp16, 100_000) == 61 * (2048 * 576 * 2 + 100_000 * 132)
    assert kv_bytes(sparse, fp16, 100_000) == 61 * 100_000 * (576 * 2 + 132)
