"""Byte accounting against the disk, and parameter counts against published ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quantroof.errors import UsageError
from quantroof.kernels.formats import Format
from quantroof.quality.lm.cache import SmallModel
from quantroof.quality.memory.stored import StoredTensor, elements, read_header
from tests.quality.extras import needs

Run = Callable[..., tuple[int, str, str]]
LLAMA_3_1_70B = {
    "model_type": "llama",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
# Method, the kernels' format of its weights, and bytes of one scale and of one zero point as stored: the
# model is fp32, so its group and channel scales are too.
STORED = [
    ("gptq", "int4.g128", 4),
    ("w8a8-token", "int8.channel", 4),
    ("fp8", "fp8_e4m3.channel", 4),
    ("nf4", "nf4.g64", 4),
    ("llm-int8-6", "int8.channel", 4),
]


def test_a_70b_config_is_counted_without_weights(tmp_path: Path, run_command: Run) -> None:
    """70,553,706,496 parameters; 141.1 GB in bf16; NF4 does not make it 35 GB."""
    needs("transformers")
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_3_1_70B))

    code, text, _ = run_command("memory", tmp_path / "config.json", "--json")

    data = json.loads(text)
    assert code == 0
    assert data["logical_parameters"] == 70_553_706_496
    assert data["formats_bytes"]["bf16"] == pytest.approx(141.1e9, rel=1e-3)
    assert data["formats_bytes"]["nf4.g64"] == pytest.approx(42.7e9, rel=2e-3)
    assert data["formats_bytes"]["nf4.g64 double-quantized"] == pytest.approx(39.5e9, rel=2e-3)
    assert data["formats_bytes"]["int4.g128"] == pytest.approx(39.5e9, rel=2e-3)


@pytest.mark.parametrize(("method", "format_text", "scale_bytes"), STORED)
def test_accounting_equals_the_disk(
    trained: SmallModel,
    tmp_path: Path,
    run_command: Run,
    method: str,
    format_text: str,
    scale_bytes: int,
) -> None:
    """Packed weights and scales of every linear layer are as many bytes as the format says."""
    needs("llmcompressor")
    needs("bitsandbytes")
    out = tmp_path / "quantized"
    options = ("--windows", 8, "--window", 64, "--samples", 8)
    code, text, _ = run_command(
        "quantize", trained.checkpoint, "--method", method, "--out", out, *options, "--json"
    )
    fmt = Format.parse(format_text)

    original = read_header(trained.checkpoint / "model.safetensors")
    stored = read_header(out / "model.safetensors")
    linear = [t for t in original.tensors if "_proj." in t.name]
    packed = [t for t in stored.tensors if "_proj." in t.name and t.role == "weights"]
    scales = [t for t in stored.tensors if "_proj." in t.name and t.role == "scales"]
    assert code == 0
    assert json.loads(text)["stored_bytes"] == stored.bytes == (out / "model.safetensors").stat().st_size
    assert abs(json.loads(text)["difference"]["mean"]) < 0.1
    assert sum(t.bytes for t in packed) * 8 == sum(elements(t) for t in linear) * fmt.element.bits
    expected = sum(_scales(fmt, t) for t in linear)
    assert sum(t.bytes for t in scales) == expected * scale_bytes


def _scales(fmt: Format, tensor: StoredTensor) -> int:
    rows, columns = tensor.shape
    return fmt.scale_count(rows, columns)


def test_logical_parameters_of_a_packed_checkpoint_are_those_of_the_model(
    trained: SmallModel, tmp_path: Path, run_command: Run
) -> None:
    """Four-bit weights are packed two a byte; the count must not halve. State is listed apart."""
    needs("bitsandbytes")
    out = tmp_path / "nf4"
    options = ("--windows", 8, "--window", 64)
    run_command("quantize", trained.checkpoint, "--method", "nf4", "--out", out, *options)

    _, before, _ = run_command("memory", trained.checkpoint, "--json")
    _, after, _ = run_command("memory", out, "--json")

    stored = json.loads(after)["stored"]
    assert json.loads(after)["logical_parameters"] == json.loads(before)["logical_parameters"]
    assert stored["by_role"]["state"] > 0
    assert sum(stored["by_role"].values()) == stored["file_bytes"]


def test_a_file_shorter_than_its_header_says_is_refused(tmp_path: Path) -> None:
    """UsageError names the file and both sizes."""
    header = b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)

    with pytest.raises(UsageError, match="half a file"):
        read_header(file)
