"""What is printed where nothing can be recommended: once, the conclusion first."""

from __future__ import annotations

import pytest

from quantroof.advisor.advice import AdviceOptions
from quantroof.advisor.check import Checker
from quantroof.advisor.check_table import Check, Group
from quantroof.advisor.decision import advise
from quantroof.advisor.interpolation import KernelTime
from quantroof.advisor.model_lookup import model
from quantroof.advisor.sources import machine_and_times
from quantroof.advisor.timings import TimingTable
from quantroof.errors import UsageError, unknown_name
from quantroof.reports.text.advice_lines import View, advice_lines, advice_markdown
from quantroof.reports.text.check_lines import notes
from tests.advisor.machines import A100

NO_TARGET = AdviceOptions(context=4096, gpu_counts=(1, 2), formats=("int8-w8a8", "int4-w4a16"))
IMPOSSIBLE = AdviceOptions(context=4096, gpu_counts=(1,), formats=("int4-w4a16",), latency_s=1e-3)


def test_a_refusal_is_worded_once() -> None:
    """The lines for a terminal say that nothing meets the targets; the error says what would be possible."""
    advice = advise(model("llama-3.1-70b"), A100, TimingTable(), IMPOSSIBLE, None)
    text = "\n".join(advice_lines(advice, advice.shown, View()))

    assert advice.refusal is not None
    assert advice.refusal.startswith("nothing meets the targets with llama-3.1-70b")
    assert "the fastest is" not in text
    assert text.splitlines()[0].endswith("nothing meets the targets.")


def test_a_disturbed_run_gives_no_table_unless_it_is_asked_for() -> None:
    """The first line is `unknown`, and no option follows it."""
    times = {"bf16": {(8192, 8192): [KernelTime(1, 1e-4, 1e-4, 1e-4, "k")]}}
    table = TimingTable(times, unusable="another process used the GPU")
    advice = advise(model("llama-3.1-70b"), A100, table, NO_TARGET, None)
    short, whole = ("\n".join(advice_lines(advice, None, View(all_rows=every))) for every in (False, True))

    assert ": unknown, another process used the GPU." in short.splitlines()[0]
    assert "int4-w4a16" not in short
    assert "int4-w4a16" not in advice_markdown(advice, None, View())
    assert "int4-w4a16" in whole


@pytest.mark.parametrize("typed", ["dgx spark", "NVIDIA DGX Spark", "gb10"])
def test_a_system_is_found_by_its_own_name(typed: str) -> None:
    """People ask for a DGX Spark; its GPU is GB10."""
    assert machine_and_times(typed, None)[0].id == "gb10"


def test_an_unknown_gpu_gets_the_nearest_five_and_the_command_that_lists_all() -> None:
    """No list of eighty ids is printed."""
    with pytest.raises(UsageError) as caught:
        machine_and_times("frobnicator", None)

    assert caught.value.hint is not None
    assert caught.value.hint.startswith("the nearest of ")
    assert caught.value.hint.count(",") == 4
    assert caught.value.hint.endswith("; `quantroof hardware list` lists all")


@pytest.mark.parametrize(("count", "start"), [(24, "one of: "), (25, "the nearest of 25: "), (201, None)])
def test_short_lists_are_shown_whole(count: int, start: str | None) -> None:
    """Up to 24 names; of more the nearest five, and none of a list that nobody reads."""
    hint = unknown_name("name", "zzz", [f"abc{i}" for i in range(count)]).hint

    assert hint is None if start is None else (hint or "").startswith(start)


def test_groups_outside_of_their_band_are_named() -> None:
    """Large groups that the band fails stand apart from small ones, whose share says little."""
    rows = (("l4", 1, 0.0), ("h100", 19, 0.5), ("b200", 20, 0.89), ("t4", 100, 0.9))
    groups = tuple(
        Group(by="GPU", name=n, points=p, median_error=0.1, p90_error=0.2, inside=i, width=1.7, ratio=1.0)
        for n, p, i in rows
    )
    found = list(notes(Check(points=140, calibration=0, judged=groups, refused=())))

    assert found == [
        "groups of 20 points and more with less than 90% in the band: GPU b200 18 of 20",
        "groups of fewer than 20 points with less than 90% in the band: GPU l4 0 of 1, GPU h100 10 of 19",
    ]


def test_points_of_another_gpu_are_refused() -> None:
    """A checker with the machine of a run predicts that GPU alone."""
    assert Checker(machine=A100).check([])[0] == []
