"""Suites made of options: cases, shapes, models and batches in place of a suite's own cases."""

from __future__ import annotations

import pytest

from quantroof.bench.selection import Selected, Selection, select_cases
from quantroof.bench.suite import load, parse
from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Processor

BASE = """
schema = "quantroof-suite/1"
name = "base"
[limits]
precision = 0.02
[[sweep]]
layers = ["llama-3.2-1b/o"]
m = [1, 8]
formats = ["bf16", "int4-w4a16"]
groups = [64]
[cpu]
[cpu.limits]
precision = 0.04
[[cpu.sweep]]
layers = ["llama-3.2-1b/qkv"]
m = [2]
formats = ["fp32"]
"""
CASE = "gemm/bf16-bf16-bf16/m3-n64-k128"


def _selected(selection: Selection, formats: tuple[str, ...] | None = None) -> Selected:
    return select_cases(parse(BASE, "base.toml"), selection, formats)


def _ids(selected: Selected, processor: Processor = "gpu") -> list[str]:
    return [case.id for case in selected.suite.workloads[processor].cases]


def test_nothing_selected_leaves_the_suite_as_it_is() -> None:
    """The very suite comes back."""
    base = load("quick")

    assert select_cases(base, Selection(), None).suite is base


def test_a_case_is_run_on_every_device_under_the_limits_of_the_suite() -> None:
    """Both processors run exactly the named case, each with its own limits."""
    selected = _selected(Selection(cases=(CASE,)))

    assert _ids(selected) == _ids(selected, "cpu") == [CASE]
    limits = {processor: workload.limits for processor, workload in selected.suite.workloads.items()}
    assert {processor: own.precision for processor, own in limits.items()} == {"gpu": 0.02, "cpu": 0.04}


def test_a_shape_takes_formats_and_batches_of_the_suite() -> None:
    """N x K takes the suite's batches, M x N x K its own; int4 keeps the suite's group of 64."""
    selected = _selected(Selection(shapes=((None, 128, 256), (5, 32, 64))))

    assert _ids(selected) == [
        "gemv/bf16-bf16-bf16/m1-n128-k256",
        "gemv/int4.g64-bf16-bf16/m1-n128-k256",
        "gemm/bf16-bf16-bf16/m8-n128-k256",
        "gemm/int4.g64-bf16-bf16/m8-n128-k256",
        "gemm/bf16-bf16-bf16/m5-n32-k64",
        "gemm/int4.g64-bf16-bf16/m5-n32-k64",
    ]
    assert _ids(selected, "cpu")[0] == "gemm/fp32-fp32-fp32/m2-n128-k256"


def test_batches_alone_keep_the_layers() -> None:
    """`--m 7` measures the suite's layers at another batch."""
    assert _ids(_selected(Selection(batches=(7,))), "cpu") == ["gemm/fp32-fp32-fp32/m7-n3072-k2048"]


def test_a_format_that_no_group_fits_is_named() -> None:
    """Left out with a remark where the suite has it, an error where the user asked for it."""
    selected = _selected(Selection(shapes=((1, 32, 100),)))

    assert _ids(selected) == ["gemv/bf16-bf16-bf16/m1-n32-k100"]
    assert selected.remarks == (
        "int4-w4a16 left out at N = 32, K = 100: group size 64 does not divide K = 100",
    )
    with pytest.raises(UsageError, match="does not divide K = 100"):
        _selected(Selection(shapes=((1, 32, 100),)), ("int4-w4a16",))


def test_a_layer_of_the_suite_that_no_group_fits_is_left_out() -> None:
    """`--format int4-w4a16 --m 3` measures the other layers; where none is left the error has the reason."""
    layer = '"llama-3.2-1b/qkv"]'
    both = BASE.replace(layer, f"{layer}\nshapes = [{{ n = 64, k = 100 }}]")
    selected = select_cases(parse(both, "base.toml"), Selection(batches=(3,)), ("int4-w4a16",))

    assert _ids(selected, "cpu") == ["gemm/int4.g128-bf16-bf16/m3-n3072-k2048"]
    assert any("N = 64, K = 100" in remark for remark in selected.remarks)
    alone = both.replace(f"layers = [{layer}", "")
    with pytest.raises(UsageError, match="no format of int4-w4a16 fits") as error:
        select_cases(parse(alone, "base.toml"), Selection(batches=(3,)), ("int4-w4a16",))
    assert "K = 100" in (error.value.hint or "")


def test_the_text_of_the_suite_reads_back_to_the_same_cases() -> None:
    """--resume reads the cases from the run file."""
    selected = _selected(Selection(shapes=((4, 32, 64),)), ("nf4-w4a16",))
    again = parse(selected.suite.source, "run file")

    assert again.workloads == selected.suite.workloads


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection(cases=(CASE,), batches=(1,)), "excludes --shape, --model and --m"),
        (Selection(cases=("gemm/x",)), r"cases\[0\]: 'gemm/x' is not a case id"),
    ],
)
def test_what_cannot_be_selected_is_one_line(selection: Selection, words: str) -> None:
    """The error names the option or the case."""
    with pytest.raises(UsageError, match=words):
        _selected(selection)
