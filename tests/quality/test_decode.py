"""Decode throughput of a random model on the CPU: the work is right, and the books add up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from quantroof.analysis.roofs import measured_roofs
from quantroof.quality.checkpoint import architecture
from quantroof.quality.decode import models
from quantroof.quality.decode.stepping import Stepper
from tests.builders import write
from tests.quality.extras import needs
from tests.runs import cpu_run

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


QUICK = ("--tokens", 4, "--prompt", 8, "--seconds", 1)


def _written(folder: Path, **change: object) -> Path:
    """A config.json of the small shape with some values changed."""
    (folder / "config.json").write_text(json.dumps({**SMALL, **change}))
    return folder / "config.json"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config.json without weights."""
    needs("bitsandbytes")
    return _written(tmp_path)


def test_random_weights_decode_in_every_format(config: Path, run_command: Run) -> None:
    """fp32, bf16 and int8: prefill apart, the same tokens in every block, an interval around the median."""
    options = (*QUICK, "--batches", "1,2")
    code, text, _ = run_command("decode", config, "--formats", "fp32,bf16,int8", *options, "--json")

    rows = json.loads(text)["results"]
    assert code == 0
    assert json.loads(text)["random_weights"]
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
    origin = models.source(config)
    counted = {name: models.in_format(origin, name, "cpu").weight_bytes for name in ("bf16", "int8", "nf4")}
    rest = 2 * (512 * 128 + 5 * 128)
    rotary = counted["bf16"] - 2 * LINEAR - rest

    assert 0 <= rotary < 1024
    assert counted["int8"] == LINEAR + 4 * 2 * (2 * 128 + 2 * 64 + 2 * 256 + 128) + rest + rotary
    double = LINEAR // 2 + LINEAR // 64
    assert double < counted["nf4"] - rest < double * 1.1


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda:0", marks=pytest.mark.gpu)])
def test_the_static_cache_gives_the_tokens_of_an_ordinary_one(config: Path, device: str) -> None:
    """Three steps after a prefill, replayed on a GPU, equal greedy decoding without any cache; so again."""
    model = models.source(config).model(torch.float32, device)
    stepper = Stepper(model, batch=2, prompt=8, tokens=3, device=device)
    stepper.prefill_s()
    first = stepper._token.clone()
    ids = torch.cat([stepper._prompt, first], dim=1)
    found = []
    for _ in range(2):
        stepper._token.copy_(first)
        stepper.decode_s(3)
        found.append(stepper._token.flatten().tolist())
    with torch.inference_mode():
        for _ in range(3):
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1:].argmax(-1)], dim=1)

    assert found == [ids[:, -1].tolist()] * 2


def test_a_step_reads_nothing_back(config: Path) -> None:
    """No operation of a step asks the device for a value: that is what lets a GPU capture it."""
    stepper = Stepper(models.source(config).model(torch.float32, "cpu"), 2, 8, 3, "cpu")

    with _Asked() as asked, torch.inference_mode():
        stepper._step()

    assert asked.names == []


class _Asked(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The operations that hand a tensor's value, or a shape that depends on one, to the host."""

    READS = ("item", "_local_scalar_dense", "nonzero", "is_nonzero", "equal")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.names += [name] if name in self.READS else []
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", ["int8", "int8-off", "nf4"])
def test_random_weights_are_quantized_where_they_are_made(tmp_path: Path, name: str, tied: bool) -> None:
    """The same seed gives the same model: in a format it stays near the unquantized one; no file appears."""
    needs("bitsandbytes")
    origin = models.RandomWeights(architecture(_written(tmp_path, tie_word_embeddings=tied)), tmp_path)
    ids = torch.arange(16)[None]
    made = models.in_format(origin, name, "cpu").model

    with torch.inference_mode():
        exact = origin.model(torch.bfloat16, "cpu")(input_ids=ids).logits.float()
        found = made(input_ids=ids).logits.float()

    assert type(made.get_submodule("model.layers.0.mlp.up_proj")).__module__.startswith("bitsandbytes")
    assert 0 < (found - exact).norm() / exact.norm() < 0.3
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json"]


def test_a_sliding_window_is_rewound(tmp_path: Path, run_command: Run) -> None:
    """A model whose window is shorter than its context decodes block after block."""
    needs("bitsandbytes")
    file = _written(tmp_path, model_type="mistral", sliding_window=4)

    code, text, _ = run_command("decode", file, "--formats", "fp32", *QUICK, "--json")

    (row,) = json.loads(text)["results"]
    assert code == 0
    assert row["bytes_a_step"] < 4 * LINEAR + 4 * 512 * 128 + 2**14


def test_the_share_of_the_roof_is_read_from_a_run(config: Path, tmp_path: Path, run_command: Run) -> None:
    """Achieved bandwidth over the read bandwidth that the run measured on the same device."""
    run = cpu_run()
    write(run, tmp_path / "run")

    code, text, _ = run_command(
        "decode", config, "--formats", "bf16", *QUICK, "--run", tmp_path / "run", "--json"
    )

    (row,) = json.loads(text)["results"]
    roof = measured_roofs("cpu:0", run.ceilings).read_bandwidth()
    assert code == 0
    assert roof is not None
    assert row["share_of_read_roof"] == pytest.approx(row["bytes_per_s"] / roof)


def test_a_batch_that_the_memory_does_not_hold_is_passed_over(config: Path, run_command: Run) -> None:
    """The smaller batch keeps its result; the larger one is named."""
    options = ("--formats", "bf16", *QUICK, "--batches", f"1,{10**14}")
    code, text, progress = run_command("decode", config, *options, "--json")

    document = json.loads(text)
    assert code == 0
    assert [row["workload"]["batch"] for row in document["results"]] == [1]
    assert document["too_large"] == [
        {"format": "bf16", "batch": 10**14, "reason": "the memory is too small", "kind": "too-large"}
    ]
    assert "the memory is too small" in progress


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"max_position_embeddings": 8}, "longer than the model's context of 8"),
        ({"model_type": "mamba"}, "mamba"),
        ({"model_type": "no-such-thing"}, "no-such-thing"),
        ({"model_type": None}, "has no model_type"),
        ({"hidden_size": "wide"}, "describes no"),
        ({"num_attention_heads": 0}, "describes no"),
    ],
)
def test_a_config_that_cannot_be_decoded_is_one_line(
    tmp_path: Path, run_command: Run, change: dict[str, object], expected: str
) -> None:
    """A short context, a model without keys and values, an unknown one, nonsense: exit code 2."""
    needs("transformers")
    code, _, error = run_command("decode", _written(tmp_path, **change), "--formats", "fp32", *QUICK)

    assert code == 2
    assert expected in error
    assert len(error.strip().splitlines()) == 1


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
    """A Llama step is captured in every format but LLM.int8() with outliers, which waits for the host.

    That one is left to the last but one: it must not spoil the capture after it.
    """
    formats = "fp16,nf4,int8-off,int8,bf16"
    options = ("--tokens", 16, "--prompt", 32, "--seconds", 2, "--device", "cuda:0")
    code, text, _ = run_command("decode", config, "--formats", formats, *options, "--json")

    rows = {row["format"]: row for row in json.loads(text)["results"]}
    assert code == 0
    assert rows.pop("int8")["graph"].startswith("eager: the host waits")
    assert {row["graph"] for row in rows.values()} == {"captured"}
