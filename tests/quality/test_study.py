"""The study on the 200-step model: real libraries, real files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from quantroof.errors import UsageError
from quantroof.files import read_text
from quantroof.quality.calibration import Mixture, build
from quantroof.quality.checkpoint import open_checkpoint
from quantroof.quality.lm.cache import SmallModel
from quantroof.quality.lm.outliers import induce_outliers
from quantroof.quality.windows import Windows, pack, window_losses
from quantroof.records.quality import read_study
from tests.quality.extras import needs

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def windows(trained: SmallModel) -> Windows:
    """Sixteen windows of the held-out text."""
    text = read_text(trained.held_out_text)
    return pack(text, open_checkpoint(trained.checkpoint).tokenizer(), 128, "held out", most=16)


def test_the_model_learned(trained: SmallModel, windows: Windows) -> None:
    """Two hundred steps bring the loss from ln 512 = 6.2 to under 4.6 nats a token."""
    model = open_checkpoint(trained.checkpoint).model(torch.float32)

    assert max(window_losses(model, windows)) < 5.5
    assert sum(window_losses(model, windows)) / 16 < 4.6


def test_outliers_change_activations_and_not_the_loss(trained: SmallModel, windows: Windows) -> None:
    """Every norm puts out channels tens of times larger, the fp32 loss stays within 1e-4."""
    model = open_checkpoint(trained.checkpoint).model(torch.float32)
    before = window_losses(model, windows)
    norm = model.get_submodule("model.layers.0.input_layernorm")
    outputs: list[torch.Tensor] = []
    norm.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    window_losses(model, windows)

    changed = induce_outliers(model)
    after = window_losses(model, windows)

    assert changed == 4
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) < 1e-4
    assert outputs[-1].abs().max() > 10 * outputs[0].abs().max()


def test_calibration_is_packed_seeded_and_apart_from_the_evaluation(
    trained: SmallModel, windows: Windows
) -> None:
    """Exact count, no padding, same seed same set, and text that judges is never shown."""
    tokenizer = open_checkpoint(trained.checkpoint).tokenizer()
    generic = read_text(trained.train_text)[:200_000]
    domain = read_text(trained.held_out_text)[:9000]  # more than half of it is the evaluation text

    made = build(Mixture(16, 64, 0.25, 7), tokenizer, generic=generic, domain=domain, evaluation=windows)
    again = build(Mixture(16, 64, 0.25, 7), tokenizer, generic=generic, domain=domain, evaluation=windows)
    other = build(Mixture(16, 64, 0.25, 8), tokenizer, generic=generic, domain=domain, evaluation=windows)

    judged = {tuple(row[i : i + 64]) for row in windows.ids.tolist() for i in range(0, 65, 64)}
    assert made.ids.shape == (16, 64)
    assert made.digest == again.digest != other.digest
    assert judged.isdisjoint(tuple(row) for row in made.ids.tolist())
    assert (made.ids == tokenizer.eos_token_id).sum() == 0


def test_calibration_from_the_evaluation_text_alone_is_refused(trained: SmallModel, windows: Windows) -> None:
    """Fewer clean samples than asked for is an error, not a smaller set."""
    tokenizer = open_checkpoint(trained.checkpoint).tokenizer()
    text = tokenizer.decode(windows.ids.flatten().tolist())

    with pytest.raises(UsageError, match="apart from the evaluation text"):
        build(Mixture(4, 64), tokenizer, generic=text, evaluation=windows)


def test_a_study_is_recorded_and_resumed(trained: SmallModel, tmp_path: Path, run_command: Run) -> None:
    """Every method and variant is one line; resuming measures only what is missing."""
    needs("llmcompressor")
    out = tmp_path / "study.jsonl"
    base = ("study", trained.checkpoint, "--window", 64, "--windows", 16, "--samples", 8, "--out", out)

    first, _, _ = run_command(*base, "--methods", "fp8", "--variants", "base")
    second, text, progress = run_command(*base, "--methods", "fp8,w4a16-g128", "--resume", "--json")

    document = json.loads(text)
    found = {(r["variant"], r["method"]): r for r in document["results"]}
    assert (first, second) == (0, 0)
    assert len(found) == len(document["results"]) == 2 * 3
    assert "base fp8" not in progress
    assert found["base", "fp8"]["difference"]["windows"] == 16
    assert abs(found["outliers", "none"]["loss_nats"] - found["base", "none"]["loss_nats"]) < 1e-4
    assert len(read_study(out).results) == 6


def test_another_model_cannot_be_resumed(trained: SmallModel, tmp_path: Path, run_command: Run) -> None:
    """Weights are told apart by their hash, not by their name."""
    out = tmp_path / "study.jsonl"
    common = ("--window", 64, "--methods", "none", "--variants", "base", "--out", out)
    run_command("study", trained.checkpoint, "--windows", 8, *common)

    code, _, error = run_command("study", trained.checkpoint, "--windows", 9, *common, "--resume")

    assert code == 2
    assert "other evaluation" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--methods", "gtpq"), "did you mean gptq"),
        (("--window", "4000"), "longer than the model's context"),
        (("--windows", "3"), "are needed"),
        (("--dtype", "int3"), "unknown dtype"),
        (("--domain-share", "0.5"), "belong together"),
        (("--variants", "bse"), "did you mean base"),
        (("--device", "gpu"), "unknown device"),
    ],
)
def test_a_wrong_request_is_one_line(
    trained: SmallModel, run_command: Run, arguments: tuple[str, ...], expected: str
) -> None:
    """Exit code 2 and one line that says what to do."""
    short = () if "--window" in arguments else ("--window", "64")
    code, _, error = run_command("study", trained.checkpoint, *short, *arguments)

    assert code == 2
    assert expected in error
    assert len(error.strip().splitlines()) == 1


def test_a_half_checkpoint_is_one_line(trained: SmallModel, tmp_path: Path, run_command: Run) -> None:
    """Weights that are missing, cut or pickled, no tokenizer, an unknown architecture, a name to download."""
    half = tmp_path / "half"
    half.mkdir()
    for file in trained.checkpoint.glob("*.json"):
        (half / file.name).write_bytes(file.read_bytes())
    missing = run_command("study", half, "--methods", "none", "--window", 64)
    whole = (trained.checkpoint / "model.safetensors").read_bytes()
    (half / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    cut = run_command("study", half, "--methods", "none", "--window", 64, "--variants", "base")
    (half / "model.safetensors").unlink()
    (half / "pytorch_model.bin").write_bytes(b"")
    pickled = run_command("study", half, "--methods", "none", "--window", 64)
    (half / "model.safetensors").write_bytes(whole)
    (half / "tokenizer.json").unlink()
    (half / "tokenizer_config.json").unlink()
    mute = run_command("study", half, "--methods", "none", "--window", 64)
    (half / "config.json").write_text('{"model_type": "no-such-thing", "auto_map": {}}')
    unknown = run_command("study", half, "--methods", "none", "--window", 64)
    download = run_command("study", "meta-llama/Llama-3.1-8B", "--methods", "none")

    for code, _, error in (missing, cut, pickled, mute, unknown, download):
        assert code == 2
        assert len(error.strip().splitlines()) == 1
    assert "*.safetensors" in missing[2]
    assert "half a file" in cut[2]
    assert "convert them to safetensors" in pickled[2]
    assert "has no tokenizer" in mute[2]
    assert "unknown architecture 'no-such-thing' (code that comes with a checkpoint is not run)" in unknown[2]
    assert "not downloaded" in download[2]


def test_other_shapes_than_the_config_says_are_one_line(
    trained: SmallModel, tmp_path: Path, run_command: Run
) -> None:
    """A config.json of another model beside the weights."""
    for file in trained.checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_size": 256}))

    code, _, error = run_command("study", tmp_path, "--methods", "none", "--window", 64)

    assert code == 2
    assert error.strip().endswith("its tensors have other shapes than config.json says")


@pytest.mark.parametrize(
    ("out", "method", "code", "expected"),
    [
        ("file", "fp8", 2, "is not a directory"),
        ("full", "fp8", 2, "is not empty"),
        ("file/below", "fp8", 3, "cannot be written"),
        ("new", "none", 2, "quantizes nothing"),
    ],
)
def test_a_checkpoint_that_cannot_be_written_is_one_line(
    trained: SmallModel,
    tmp_path: Path,
    run_command: Run,
    out: str,
    method: str,
    code: int,
    expected: str,
) -> None:
    """A file or a filled directory in the way, a method that does nothing: before anything is quantized."""
    needs("llmcompressor")
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "config.json").write_text("")
    options = ("--method", method, "--out", tmp_path / out, "--window", 64, "--windows", 8)
    found, _, error = run_command("quantize", trained.checkpoint, *options)

    assert found == code
    assert expected in error
    assert len(error.strip().splitlines()) == 1


def test_a_method_that_needs_a_gpu_says_so(trained: SmallModel, run_command: Run) -> None:
    """A device that is not here is exit code 3, with the remedy."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    code, _, error = run_command("study", trained.checkpoint, "--device", "cuda:0", "--window", 64)

    assert code == 3
    assert "--device cpu" in error
