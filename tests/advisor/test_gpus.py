"""The GPUs that `--gpu` takes: by name, by figures, and with the link of each board."""

from __future__ import annotations

import pytest

from quantroof.advisor.advice import AdviceOptions
from quantroof.advisor.decision import advise
from quantroof.advisor.links import link_of
from quantroof.advisor.model_lookup import model
from quantroof.advisor.sources import machine_and_times
from quantroof.advisor.timings import TimingTable
from quantroof.errors import UsageError
from quantroof.hwprofiles import catalog

ORINS = ("agx-orin-64gb", "thor-128gb", "orin-nx-16gb", "orin-nx-8gb", "orin-nano-8gb")
ALONE = {*(f"jetson-{name}" for name in ORINS), "mi300a"}
RTX_4070 = "cc=8.9,sms=46,clock=2475,memory=12,bandwidth=504,class=geforce"


@pytest.mark.parametrize(
    ("typed", "board"),
    [
        ("h100-sxm5-80gb", "h100-sxm5-80gb"),
        ("NVIDIA H200", "h200-sxm"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("RTX 4090", "rtx-4090"),
        ("B200", "b200"),
        ("L40S", "l40s"),
    ],
)
def test_boards_are_named_as_people_type_them(typed: str, board: str) -> None:
    """By id, by the driver's name, or without the words that every board has."""
    assert machine_and_times(typed, None)[0].id == board


def test_a_name_of_several_boards_lists_them() -> None:
    """`a100` could be one of four."""
    with pytest.raises(UsageError, match=r"several boards .*a100-sxm4-40gb, a100-sxm4-80gb"):
        machine_and_times("a100", None)


@pytest.mark.parametrize("board", sorted(catalog.profiles()))
def test_every_board_has_a_link_and_a_matrix_rate(board: str) -> None:
    """Two of them work together, but for modules alone on their carrier; MI300A's link was not looked up."""
    machine = machine_and_times(board, None)[0]

    assert (link_of(board) is None) == (board in ALONE)
    assert machine.rate("bf16") is not None


def test_a_derived_gpu_gives_the_catalogs_answer() -> None:
    """An RTX 4070 by its figures is the RTX 4070 of the catalog, in rates and in memory."""
    derived, listed = (machine_and_times(gpu, None)[0] for gpu in (RTX_4070, "rtx-4070"))

    assert derived.matrix["bf16"].value == pytest.approx(listed.matrix["bf16"].value, rel=1e-3)
    assert derived.bandwidth.value == pytest.approx(listed.bandwidth.value, rel=1e-3)
    assert derived.memory_bytes == pytest.approx(listed.memory_bytes, rel=1e-3)
    asked = AdviceOptions(context=2048, formats=("int4-w4a16",), gpu_counts=(1,))
    assert advise(model("llama-3.1-8b"), derived, TimingTable(), asked, None).options[0].decode is not None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cc=8.9,sms=46", "needs clock, memory, bandwidth"),
        (RTX_4070.replace("46", "many"), "sms='many' is not a number of SMs"),
        (RTX_4070.replace("8.9", "8.8"), "no rates are known for compute capability 8.8"),
        (RTX_4070.replace("geforce", "fast"), "unknown rate class 'fast'"),
        ("speed=1", "unknown figure 'speed'"),
    ],
)
def test_a_wrong_figure_is_one_line(text: str, complaint: str) -> None:
    """Each names the figure."""
    with pytest.raises(UsageError, match=complaint):
        machine_and_times(text, None)
