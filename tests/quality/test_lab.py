"""The format error lab: figures that theory or another source gives, rebuilt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from quantroof.cli.main import main
from quantroof.errors import UsageError
from quantroof.kernels.formats import nf4_levels
from quantroof.quality.lab import codebooks
from quantroof.quality.lab.data import Matrix, checkpoint_matrices, synthetic
from quantroof.quality.lab.errors import format_errors, output_errors, round_trip
from tests.quality.extras import needs


def _sqnr(data: Matrix, *names: str) -> dict[str, float]:
    return {e.format: e.sqnr_db or 0.0 for e in format_errors([data], names)}


def test_a_gaussian_block_of_64_is_served_best_by_lloyd_max_not_by_nf4() -> None:
    """Lloyd-Max > asymmetric INT4 > NF4 > e2m1 > symmetric INT4 > FP4: NF4 does not minimize the error."""
    order = ("lloyd-max.g64", "int4.g64.zp", "nf4.g64", "e2m1.g64", "int4.g64", "fp4.g64")

    found = _sqnr(synthetic("gaussian"), *order)

    assert sorted(found, key=lambda name: -found[name]) == list(order)
    assert found["nf4.g64"] == pytest.approx(20.73, abs=0.05)
    assert found["fp4.g64"] == pytest.approx(18.27, abs=0.05)


def test_heavy_tails_turn_the_order_of_nf4_and_asymmetric_int4() -> None:
    """On Student-t data with five degrees of freedom NF4 has the smaller error."""
    found = _sqnr(synthetic("student-t5"), "nf4.g64", "int4.g64.zp")

    assert found["nf4.g64"] > found["int4.g64.zp"]


def test_int8_beats_fp8_until_there_are_outliers() -> None:
    """A row's largest value sets INT8's step for all its channels; fp8's relative step does not care."""
    plain, spiked = synthetic("gaussian"), synthetic("outlier-channels")

    without = _sqnr(plain, "int8.token", "fp8_e4m3.token")
    usual = {e.format: e.usual_sqnr_db or 0.0 for e in format_errors([spiked], list(without))}

    assert without["int8.token"] > without["fp8_e4m3.token"] + 8
    assert usual["fp8_e4m3.token"] > usual["int8.token"] + 15
    assert usual["fp8_e4m3.token"] == pytest.approx(without["fp8_e4m3.token"], abs=0.5)


def test_bfloat16_keeps_what_its_mantissa_says() -> None:
    """Rounding to 8 significant bits leaves about 55.6 dB, fp16's 11 bits three times 6.02 dB more."""
    found = _sqnr(synthetic("gaussian"), "bf16", "fp16")

    assert found["bf16"] == pytest.approx(55.6, abs=0.3)
    assert found["fp16"] - found["bf16"] == pytest.approx(18.06, abs=0.3)


@pytest.mark.parametrize("name", codebooks.BITS)
def test_values_on_the_grid_survive_a_round_trip(name: str) -> None:
    """A block of a format's own levels, its scale an exact power of two, comes back unchanged."""
    levels = {
        "lloyd-max.g64": codebooks.lloyd_max_levels(),
        "fp4.g64": (0.0, 1 / 192, -1 / 6, 1 / 4, 1 / 3, -2 / 3, 1.0),  # bitsandbytes' create_fp4_map
        "e2m1.g64": (0.0, 0.5, -1.0, 1.5, 3.0, -4.0, 6.0),
    }[name]
    row = torch.tensor([levels[i % len(levels)] for i in range(64)])
    row[0] = max(levels, key=abs)
    if name == "lloyd-max.g64":
        row = row / row.abs().max()
        levels = tuple(float(v) for v in row)
    whole = torch.stack([row, row * 4])

    rounded, _ = round_trip(name, whole)

    tolerance = 0.05 if name == "lloyd-max.g64" else 1e-6
    assert torch.allclose(rounded, whole, atol=tolerance * 4, rtol=1e-6)


def test_a_block_of_zeros_stays_zero_in_every_codebook() -> None:
    """No scale divides by zero."""
    for name in codebooks.BITS:
        rounded, _ = round_trip(name, torch.zeros(2, 64))
        assert rounded.abs().max() < 0.1
        assert torch.isfinite(rounded).all()


def test_nf4_levels_equal_the_published_table() -> None:
    """The table of QLoRA's reference implementation, rebuilt from its construction within 1e-6."""
    published = (
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
        0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
        0.7229568362236023, 1.0,
    )  # fmt: skip

    assert nf4_levels() == pytest.approx(published, abs=1e-6)


def test_outlier_activations_cost_int8_more_than_fp8_in_a_linear_layer() -> None:
    """The output's error of int8-w8a8 grows with outliers in the activations, fp8's does not."""
    weights = synthetic("gaussian", 128, 1024)
    kinds = [synthetic(kind, 32, 1024, seed=1) for kind in ("gaussian", "outlier-channels")]

    found = {(e.scheme, e.activations): e.relative for e in output_errors(kinds, weights)}

    assert found["int8-w8a8", "gaussian"] < found["fp8-w8a8", "gaussian"]
    assert found["int8-w8a8", "outlier-channels"] > 2 * found["int8-w8a8", "gaussian"]
    assert found["fp8-w8a8", "outlier-channels"] < 1.2 * found["fp8-w8a8", "gaussian"]
    assert found["fp32", "gaussian"] == 0


def test_the_command_prints_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` holds every format on every distribution."""
    with pytest.raises(SystemExit) as ended:
        main(["quality", "formats", "--json", "--format", "bf16", "--format", "int8.token"])

    document = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert document["kind"] == "quality-formats"
    assert len(document["formats"]) == 2 * 3


@pytest.mark.parametrize("content", [None, b"", b"\x10\0\0\0\0\0\0\0{not json}"])
def test_a_missing_or_half_checkpoint_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    """UsageError names the directory or the file."""
    needs("safetensors")
    if content is not None:
        (tmp_path / "model.safetensors").write_bytes(content)

    with pytest.raises(UsageError, match=str(tmp_path)):
        checkpoint_matrices(tmp_path, 1)
