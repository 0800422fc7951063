"""Byte accounting against the disk, and parameter counts against published ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from quantroof.advisor.choices import choice
from quantroof.advisor.memory import weight_bytes
from quantroof.advisor.model_lookup import model
from quantroof.errors import UsageError
from quantroof.kernels.formats import Format
from quantroof.quality.lm.cache import SmallModel
from quantroof.quality.memory.stored import StoredTensor, elements, read_header
from quantroof.quality.methods import QUANTIZING
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


@dataclass(frozen=True)
class Layout:
    """What a method stores of a linear layer. The model is fp32, so most of its scales are too."""

    format: str  # element, scales and zero points, by the kernels' own names
    scale_bytes: int = 4
    more_bytes: int = 0  # scales a matrix has once: of its inputs, or of all its weights
    nested: bool = False  # an fp32 scale for every 256 scales


LAYOUTS = {
    "w8a16-tensor": Layout("int8.tensor"),
    "w8a16": Layout("int8.channel"),
    "w8a8-token": Layout("int8.channel"),
    "w8a8-tensor": Layout("int8.channel", more_bytes=4),
    "smoothquant-token": Layout("int8.channel"),
    "smoothquant-tensor": Layout("int8.channel", more_bytes=4),
    "fp8": Layout("fp8_e4m3.channel"),
    "w4a16-channel": Layout("int4.channel"),
    "w4a16-g128": Layout("int4.g128"),
    "w4a16-g32": Layout("int4.g32"),
    "w4a16-g128-asym": Layout("int4.g128.zp"),
    "gptq": Layout("int4.g128"),
    "awq": Layout("int4.g128.zp"),
    "nvfp4a16": Layout("int4.g16", scale_bytes=1, more_bytes=4),
    "mxfp4a16": Layout("int4.g32", scale_bytes=1),
    "nf4": Layout("nf4.g64"),
    "nf4-double": Layout("nf4.g64", scale_bytes=1, nested=True),
    "fp4": Layout("nf4.g64"),
    "llm-int8-6": Layout("int8.channel"),
    "llm-int8-60": Layout("int8.channel"),
    "llm-int8-off": Layout("int8.channel"),
}
# One of every kind of file is written in the quick suite, the others where minutes do not matter.
QUICK = ("gptq", "fp8", "nvfp4a16", "nf4-double", "llm-int8-6")


def test_a_70b_config_is_counted_without_weights(tmp_path: Path, run_command: Run) -> None:
    """70,553,706,496 parameters; 141.1 GB in bf16; NF4 does not make it 35 GB."""
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_3_1_70B))

    code, text, _ = run_command("memory", tmp_path / "config.json", "--json")

    data = json.loads(text)
    assert code == 0
    assert data["logical_parameters"] == 70_553_706_496
    assert data["formats_bytes"]["bf16"] == pytest.approx(141.1e9, rel=1e-3)
    assert data["formats_bytes"]["nf4.g64"] == pytest.approx(42.7e9, rel=2e-3)
    assert data["formats_bytes"]["nf4.g64 double-quantized"] == pytest.approx(39.5e9, rel=2e-3)
    assert data["formats_bytes"]["int4.g128"] == pytest.approx(39.5e9, rel=2e-3)


QWEN3_30B_A3B = {
    "model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32,
    "num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 6144, "moe_intermediate_size": 768,
    "num_experts": 128, "num_experts_per_tok": 8, "vocab_size": 151936, "tie_word_embeddings": False,
}  # fmt: skip


def test_experts_are_counted_as_linear_layers(tmp_path: Path, run_command: Run) -> None:
    """29.9e9 of 30.5e9 parameters quantize; NF4 makes the model 18.1 GB, as the advisor has it."""
    (tmp_path / "config.json").write_text(json.dumps(QWEN3_30B_A3B))

    code, text, _ = run_command("memory", tmp_path / "config.json", "--json")

    data = json.loads(text)
    assert code == 0
    assert data["in_linear_layers"] == pytest.approx(29.9e9, rel=2e-3)
    assert data["formats_bytes"]["nf4.g64"] == pytest.approx(18.1e9, rel=5e-3)
    assert data["formats_bytes"]["nf4.g64"] == weight_bytes(model("qwen3-30b-a3b"), choice("nf4-w4a16"))


def test_every_method_has_its_bytes_stated() -> None:
    """A method that can be written is in the table that the next test goes by."""
    assert set(LAYOUTS) == set(QUANTIZING)


@pytest.mark.parametrize(
    "method", [m if m in QUICK else pytest.param(m, marks=pytest.mark.slow) for m in LAYOUTS]
)
def test_accounting_equals_the_disk(
    trained: SmallModel, tmp_path: Path, run_command: Run, method: str
) -> None:
    """Weights, scales, zero points, state and header add up to the file, each as large as its format says.

    What was not quantized takes the bytes it took before, and the checkpoint loads again with a like loss.
    """
    needs("llmcompressor")
    needs("bitsandbytes")
    out = tmp_path / "quantized"
    options = ("--windows", 8, "--window", 64, "--samples", 8)
    code, text, _ = run_command(
        "quantize", trained.checkpoint, "--method", method, "--out", out, *options, "--json"
    )
    _, accounted, _ = run_command("memory", out, "--json")

    original = read_header(trained.checkpoint / "model.safetensors").tensors
    linear = [tensor for tensor in original if "_proj." in tensor.name]
    untouched = sum(tensor.bytes for tensor in original) - sum(tensor.bytes for tensor in linear)
    roles = json.loads(accounted)["stored"]["by_role"]
    size = (out / "model.safetensors").stat().st_size
    layout = LAYOUTS[method]
    assert code == 0
    assert json.loads(text)["stored_bytes"] == sum(roles.values()) == size
    assert abs(json.loads(text)["difference"]["mean"]) < 0.1
    assert roles["weights"] - untouched == sum(_packed(layout, tensor) for tensor in linear)
    assert roles["scales"] == sum(_scales(layout, tensor) for tensor in linear)
    assert roles.get("zero points", 0) == sum(_zero_points(layout, tensor) for tensor in linear)
    # Shapes and tables of levels: of a matrix a little, whatever its size.
    assert roles.get("state", 0) <= 1300 * len(linear)


def _packed(layout: Layout, tensor: StoredTensor) -> int:
    return elements(tensor) * Format.parse(layout.format).element.bits // 8


def _scales(layout: Layout, tensor: StoredTensor) -> int:
    scales = Format.parse(layout.format).scale_count(*tensor.shape)
    nested = 4 * -(-scales // 256) if layout.nested else 0
    return scales * layout.scale_bytes + layout.more_bytes + nested


def _zero_points(layout: Layout, tensor: StoredTensor) -> int:
    fmt = Format.parse(layout.format)
    return fmt.scale_count(*tensor.shape) * fmt.element.bits // 8 if fmt.zero_point else 0


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
