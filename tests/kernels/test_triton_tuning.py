"""Tilings that were timed: precedence, staleness, and the tuner itself on interpreted kernels."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from quantroof.errors import UsageError
from quantroof.kernels.cases import Case
from quantroof.kernels.linear import dense_programs, triton_weight_only, tuned
from quantroof.kernels.linear.tiling import Tiling
from quantroof.kernels.linear.tuned import Entry
from quantroof.kernels.program import Target
from tests.kernels.interpreter import Interpreter

_CASE = Case.parse("gemm/int4.g128-bf16-bf16/m5-n4096-k4096")
_H200 = Target((9, 0), 132, "NVIDIA H200")
_TIMED = Tiling(bn=64, bm=16, bk=128, split=3, num_warps=4, num_stages=5)


@pytest.mark.parametrize(
    ("capability", "wide"),
    [((8, 9), False), ((9, 0), True), ((9, 4), False), ((9, 5), False), ((10, 0), True), ((10, 3), True),
     ((12, 0), False)],
)  # fmt: skip
def test_wide_matrix_instructions_are_those_of_hopper_and_datacenter_blackwell(
    capability: tuple[int, int], wide: bool
) -> None:
    """9.0 has wgmma and 10.x tcgen05; AMD's 9.4 and 9.5 have neither, whatever their major number."""
    assert Target(capability, 132).has_wide_matrix_instructions == wide


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's cache of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tuned._known.cache_clear()


def _entry(**change: str) -> Entry:
    entry = Entry(
        device="NVIDIA H200",
        source=tuned.source_hash(),
        kernel="weight_only",
        case=tuned.bucket(_CASE),
        tiling=_TIMED,
        median_ns=7500.0,
    )
    return msgspec.structs.replace(entry, **change)


def _chosen(target: Target = _H200, case: Case = _CASE) -> Tiling:
    return tuned.choose("weight_only", case, target, triton_weight_only.formula)


def test_a_timed_tiling_wins_over_the_formula_for_its_bucket() -> None:
    """M = 5 to 8 are one bucket; M = 9 is the next, and goes by the formula."""
    assert _chosen() == triton_weight_only.formula(_CASE, _H200)
    tuned.remember([_entry()], tuned.cache_file())
    assert _chosen() == _TIMED
    eight, nine = (Case.parse(f"gemm/int4.g128-bf16-bf16/m{m}-n4096-k4096") for m in (8, 9))
    assert _chosen(case=eight) == _TIMED
    assert _chosen(case=nine) != _TIMED


@pytest.mark.parametrize(
    "change", [{"device": "NVIDIA H100 80GB HBM3"}, {"source": "0" * 16}, {"kernel": "dense"}]
)
def test_another_device_older_code_or_another_kernel_do_not_count(change: dict[str, str]) -> None:
    """A tiling is only as good as what it was timed with."""
    tuned.remember([_entry(**change)], tuned.cache_file())
    assert _chosen() == triton_weight_only.formula(_CASE, _H200)


def test_what_is_being_tried_wins_over_everything() -> None:
    """The tuner sees its own tiling, and only inside its block."""
    tried = msgspec.structs.replace(_TIMED, split=1)
    tuned.remember([_entry()], tuned.cache_file())
    with tuned.trying(tried):
        assert _chosen() == tried
    assert _chosen() == _TIMED


def test_a_second_tuning_compares_with_the_formula() -> None:
    """Not with the tiling that the first one has kept; outside the block that one counts again."""
    tuned.remember([_entry()], tuned.cache_file())
    with tuned.by_formula():
        assert _chosen() == triton_weight_only.formula(_CASE, _H200)
    assert _chosen() == _TIMED


def test_a_damaged_cache_is_one_line() -> None:
    """The error names the file and the remedy."""
    tuned.cache_file().parent.mkdir(parents=True)
    tuned.cache_file().write_text("[{")
    with pytest.raises(UsageError, match="delete it"):
        tuned.read_entries(tuned.cache_file())


def test_remembering_replaces_the_older_entry_of_a_case() -> None:
    """One entry per device, kernel and case."""
    other = msgspec.structs.replace(_entry(), tiling=msgspec.structs.replace(_TIMED, split=8))
    tuned.remember([_entry()], tuned.cache_file())
    tuned.remember([other], tuned.cache_file())
    assert tuned.read_entries(tuned.cache_file()) == [other]


@pytest.mark.parametrize(
    ("m", "n", "split"),
    [(65, 4096, 4), (128, 4096, 4), (129, 4096, 1), (128, 8448, 2), (128, 8576, 1), (128, 28672, 1)],
)
def test_a_small_layer_is_cut_along_k_up_to_128_rows(m: int, n: int, split: int) -> None:
    """One program per multiprocessor: 66 tiles in two parts are 132 programs, 67 tiles are not cut."""
    case = Case.parse(f"gemm/int4.g128-bf16-bf16/m{m}-n{n}-k4096")
    assert triton_weight_only.formula(case, _H200).split == split


@pytest.mark.parametrize(
    ("m", "n", "tile"),
    [
        (65, 4096, (64, 64)),
        (128, 4224, (64, 64)),
        (128, 4352, (128, 64)),
        (128, 8448, (128, 64)),
        (128, 8576, (128, 128)),
        (129, 4096, (128, 128)),
    ],
)
def test_tiles_of_few_rows_are_halved_while_all_run_at_once(m: int, n: int, tile: tuple[int, int]) -> None:
    """33 tiles of 128 x 128 are 132 of 64 x 64; the dense kernel fed by TMA does not cut along K."""
    tiling = dense_programs.formula(Case.parse(f"gemm/bf16-bf16-bf16/m{m}-n{n}-k4096"), _H200)
    assert (tiling.bm, tiling.bn) == tile


@pytest.mark.parametrize(
    ("module", "case"),
    [
        (triton_weight_only, "gemm/int4.g128-bf16-bf16/m128-n4096-k4096"),
        (triton_weight_only, "gemv/int4.g128-bf16-bf16/m1-n4096-k4096"),
        (triton_weight_only, "gemm/nf4.g64-bf16-bf16/m512-n4096-k4096"),
        (dense_programs, "gemv/bf16-bf16-bf16/m1-n4096-k4096"),
        (dense_programs, "gemm/bf16-bf16-bf16/m4096-n4096-k4096"),
    ],
)
@pytest.mark.parametrize("target", [_H200, Target((8, 6), 82)])
def test_spaces_are_small_and_fit_the_shared_memory(module: object, case: str, target: Target) -> None:
    """Between 2 and 60 distinct tilings, none larger than a program may have."""
    parsed = Case.parse(case)
    found = module.space(parsed, target)  # type: ignore[attr-defined]
    assert 2 <= len(found) <= 60
    assert len(set(found)) == len(found)
    assert all(t.fits(target, parsed.weight.element.bits, parsed.activation.element.bits) for t in found)


def test_the_tuner_times_every_tiling_and_keeps_the_fastest(interpreter: Interpreter) -> None:
    """On an interpreted kernel: times are meaningless there, but every step is the real one."""
    result = interpreter.tune("triton.int4", "gemv/int4.g128-bf16-bf16/m1-n128-k512")
    assert result["tried"] >= 2
    assert result["timed"] == result["tried"]
    assert result["best_ns"] == min(result["medians"])
