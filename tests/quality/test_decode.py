"""Decode throughput of a random model on the CPU: the work is right, and the books add up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from quantroof.quality.decode import models
from tests.quality.extras import needs

Run = Callable[..., tuple[int, str, str]]
SMALL = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "tie_word_embeddings": False,
}
LINEAR = 2 * (2 * 128 * 128 + 2 * 64 * 128 + 3 * 128 * 256)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config.json without weights."""
    needs("bitsandbytes")
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    return tmp_path / "config.json"


def test_random_weights_decode_in_every_format(config: Path, run_command: Run) -> None:
    """fp32, bf16 and int8: prefill apart, the same tokens in every block, an interval around the median."""
    options = ("--tokens", 4, "--prompt", 8, "--seconds", 1, "--batches", "1,2")
    code, text, _ = run_command("decode", config, "--formats", "fp32,bf16,int8", *options, "--json")

    rows = json.loads(text)["results"]
    assert code == 0
    assert len(rows) == 6
    for row in rows:
        low, high = row["step_interval_ns"]
        assert low <= row["step_median_ns"] <= high
        assert len(row["step_ns"]) >= 3
        assert len(row["prefill_ns"]) == 3
        assert row["joules_a_token"] is None
        assert row["tokens_per_s"] == pytest.approx(row["workload"]["batch"] * 1e9 / row["step_median_ns"])


def test_bytes_a_step_are_weights_without_the_embedding(config: Path) -> None:
    """Linear layers in their format, head and norms in theirs; NF4 counts its two levels of scales."""
    with models.source(config) as checkpoint:
        counted = {
            name: models.in_format(checkpoint, name, "cpu").weight_bytes for name in ("bf16", "int8", "nf4")
        }
    rest = 2 * (512 * 128 + 5 * 128)
    rotary = counted["bf16"] - 2 * LINEAR - rest

    assert 0 <= rotary < 1024
    assert counted["int8"] == LINEAR + 4 * 2 * (2 * 128 + 2 * 64 + 2 * 256 + 128) + rest + rotary
    double = LINEAR // 2 + LINEAR // 64
    assert double < counted["nf4"] - rest < double * 1.1


def test_the_static_cache_gives_the_tokens_of_an_ordinary_one(config: Path) -> None:
    """Three steps after a prefill equal greedy decoding without any cache."""
    from quantroof.quality.decode.stepping import Stepper

    with models.source(config) as checkpoint:
        model = checkpoint.model(torch.float32)
    stepper = Stepper(model, batch=2, prompt=8, tokens=3, device="cpu")
    stepper.prefill_s()
    ids = torch.cat([stepper._prompt, stepper._token], dim=1)
    stepper.decode_s(3)
    with torch.inference_mode():
        for _ in range(3):
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1:].argmax(-1)], dim=1)

    assert stepper._token.flatten().tolist() == ids[:, -1].tolist()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--formats", "int3"), 2), (("--batches", "0"), 2), (("--device", "cuda:0"), 3)],
)
def test_a_wrong_request_is_one_line(
    config: Path, run_command: Run, arguments: tuple[str, ...], code: int
) -> None:
    """Unknown format, empty batch, a GPU that is not here."""
    if "cuda:0" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    found, _, error = run_command("decode", config, *arguments)

    assert found == code
    assert len(error.strip().splitlines()) == 1


@pytest.mark.gpu
def test_a_gpu_decodes_from_a_captured_graph(config: Path, run_command: Run) -> None:
    """A Llama step can be captured; replaying it is faster than launching it kernel by kernel."""
    options = ("--tokens", 16, "--prompt", 32, "--seconds", 2, "--device", "cuda:0")
    code, text, _ = run_command("decode", config, "--formats", "fp16", *options, "--json")

    assert code == 0
    assert json.loads(text)["results"][0]["graph"] == "captured"
