"""The three answers as values: every verdict and tone, whatever surface words it."""

from __future__ import annotations

import pytest

from quantroof.analysis.answers import answers
from quantroof.analysis.comparison import CaseChange, RunComparison
from quantroof.analysis.conclusions import change_answer, conclude, format_answer, health_answer
from quantroof.analysis.verdicts import Change
from quantroof.records.directory import Run
from tests.analysis.lines import exact
from tests.builders import gpu_device, info, run
from tests.runs import cpu_run, empty_run, failures_run, gpu_run, node_run

GPU = gpu_device()


@pytest.mark.parametrize(
    ("built", "tone", "lacking"),
    [
        (node_run(slow=None), "good", None),
        (node_run(slow=5), "bad", None),
        (failures_run(), "bad", None),
        (cpu_run(), "unsure", "reference"),
        (empty_run(), "unsure", "ceilings"),
    ],
)
def test_health_has_a_tone_and_says_what_it_lacks(built: Run, tone: str, lacking: str | None) -> None:
    """Without a datasheet and a sibling there is no answer, which is not a good one."""
    answer = conclude(answers([built])).health

    assert (answer.tone, answer.lacking) == (tone, lacking)


def test_reads_are_ascending_over_all_devices() -> None:
    """Eight GPUs, of which one reads 8 % less: the range starts with that one."""
    reads = health_answer(answers([node_run(slow=5)]).health).reads

    assert reads is not None
    assert len(reads.devices) == len(reads.rates) == len(reads.shares) == 8
    assert reads.rates[0] == pytest.approx(0.92 * reads.rates[-1], rel=0.01)


def test_the_format_answer_names_who_leads_at_every_batch() -> None:
    """int4 leads at M = 1, bf16 at M = 64: bf16's own lead has no speed-up over itself."""
    lines = [
        exact(GPU, name, ns, m=m)
        for m, times in (
            (1, {"bf16": 12_000, "int4-w4a16": 4_000}),
            (64, {"bf16": 15_000, "int4-w4a16": 30_000}),
        )
        for name, ns in times.items()
    ]
    answer = conclude(answers([run(info([GPU]), lines)])).formats

    assert answer.tone == "good"
    assert answer.schemes == ("int4-w4a16", "bf16")
    assert [(lead.m, lead.scheme) for lead in answer.leads] == [(1, "int4-w4a16"), (64, "bf16")]
    assert answer.leads[0].speed_up == pytest.approx(3.0)
    assert answer.leads[1].speed_up is None
    assert answer.device is None


def test_a_static_format_never_leads_and_nothing_timed_is_no_answer() -> None:
    """Activations that arrive quantized cost somebody else time; a run without layers has no tone."""
    lines = [exact(GPU, "fp8-w8a8-static", 5_000)]

    assert conclude(answers([run(info([GPU]), lines)])).formats.leads == ()
    assert format_answer([]).tone == "none"


def test_the_format_answer_names_its_device_where_there_are_several() -> None:
    """Of two runs the first device with timed layers is meant, and is named."""
    assert conclude(answers([gpu_run(run_id="a"), gpu_run(run_id="b")])).formats.device == "a cuda:0"


def _comparison(*words: Change, blocked: str | None = None) -> RunComparison:
    entries = tuple(
        CaseChange("cuda:0", f"case {i}", "k", word, None, None, None) for i, word in enumerate(words)
    )
    return RunComparison("a", "b", 0.05, entries, (), blocked)


@pytest.mark.parametrize(
    ("comparison", "state", "tone"),
    [
        (None, "no baseline", "none"),
        (_comparison("slower", blocked="another model"), "not comparable", "unsure"),
        (_comparison("slower", "undecided", "same"), "slower", "bad"),
        (_comparison("undecided", "same"), "open", "unsure"),
        (_comparison("missing", "same"), "open", "unsure"),
        (_comparison("new", "faster", "same"), "nothing", "good"),
    ],
)
def test_one_slower_case_is_bad_and_an_open_one_is_unsure(
    comparison: RunComparison | None, state: str, tone: str
) -> None:
    """What cannot be compared or decided is never good."""
    answer = change_answer(comparison)

    assert (answer.state, answer.tone) == (state, tone)
    assert (answer.worst is not None) is (state == "slower")
