"""The advisor's own error: points files, the split, the bands, and the error itself on the test part."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from quantroof.advisor.bands import PROMPT_SHARE, SHORT_STEP_S, band_of, regime_of, shipped
from quantroof.advisor.check import Checker
from quantroof.advisor.check_table import Check, Group, check
from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.estimate import Estimate
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.machine import from_profile
from quantroof.advisor.model_lookup import model
from quantroof.advisor.points import COLUMNS, Point, parse_points, shipped_points
from quantroof.advisor.steady_load import steady_load
from quantroof.advisor.timings import TimingTable
from quantroof.cli.commands.advise import command
from quantroof.errors import UsageError
from quantroof.hwprofiles import catalog

HEAD = ",".join(COLUMNS)
ROW = "llama-3.1-8b,h100-sxm5-80gb,1,bf16,vllm 1.0,1024,256,16,tpot_ms,9.5,nobody,"


@pytest.fixture(scope="module")
def whole() -> Check:
    """The check of the shipped points."""
    return check(shipped_points())


def _group(found: Check, by: str, name: str) -> Group:
    return next(group for group in found.judged if (group.by, group.name) == (by, name))


def test_the_advisor_errs_as_little_as_it_claims(whole: Check) -> None:
    """On the test part: 12 % dense, 22 % with experts, 8 % in pure decode, nine of ten in a band of twice."""
    assert _group(whole, "model", "dense").median_error <= 0.12
    assert _group(whole, "model", "experts").median_error <= 0.22
    assert _group(whole, "kind", "pure decode").median_error <= 0.08
    assert _group(whole, "all", "times per token").inside >= 0.90
    assert _group(whole, "all", "times per token").width <= 2.0
    assert _group(whole, "kind", "first token").median_error <= 0.5


def test_points_that_made_the_bands_judge_nothing(whole: Check) -> None:
    """Calibration points are counted and left out; a point that is not among them is judged."""
    part = [point.split for point in shipped_points()]
    own = parse_points(f"{HEAD}\n{ROW}\n", "own.csv")

    assert whole.calibration == part.count("calibration")
    assert 0.4 < whole.calibration / whole.points < 0.6
    assert check(own).calibration == 0
    assert _group(check(own), "all", "times per token").points == 1


def test_the_split_is_the_rule_in_the_file() -> None:
    """All points of a deployment at one pair of lengths go one way, by the hash of their name."""
    for point in shipped_points()[::97]:
        name = (
            f"{point.model}|{point.gpu}|{point.tp}|{point.format}|{point.framework}|{point.isl}|{point.osl}"
        )
        first = hashlib.sha256(name.encode()).hexdigest()[0]
        assert point.split == ("calibration" if first in "01234567" else "test")


def test_every_shipped_point_names_its_source() -> None:
    """2,339 points of 17 GPUs, each with where it was published."""
    points = shipped_points()

    assert len(points) == 2339
    assert len({point.gpu for point in points}) == 17
    assert all(point.source for point in points)


def test_a_point_is_predicted_as_a_steady_load() -> None:
    """The time per token of 16 requests, 1024 in and 256 out, is that of the same load asked directly."""
    checked, refused = Checker().check(parse_points(f"{HEAD}\n{ROW}\n", "own.csv"))
    machine = from_profile(catalog.profiles()["h100-sxm5-80gb"])
    load = steady_load(
        model("llama-3.1-8b"),
        choice("bf16"),
        kv_format("fp16"),
        batch=16,
        prompt=1024,
        output=256,
        ways=1,
        timer=Timer(machine, TimingTable(), Assumptions()),
    )

    assert refused == []
    assert checked[0].predicted_s == pytest.approx(load.per_token.seconds)
    assert checked[0].low_s == pytest.approx(load.per_token.low)
    assert checked[0].high_s == pytest.approx(load.per_token.high)
    assert checked[0].error == pytest.approx(abs(load.per_token.seconds / 9.5e-3 - 1))


@pytest.mark.parametrize(
    ("metric", "value", "seconds"),
    [
        ("tpot_ms", 8.0, 8e-3),
        ("first_token_ms", 80.0, 80e-3),
        ("decode_tok_s", 2000.0, 16 / 2000),
        ("served_tok_s", 2000.0, 16 / 2000),
        ("static_tok_s_gpu", 2000.0, 16 / 2000),
    ],
)
def test_measured_figures_become_seconds(metric: str, value: float, seconds: float) -> None:
    """Rates of 16 requests are turned into the time between two tokens of one."""
    row = ROW.replace("tpot_ms,9.5", f"{metric},{value}")
    checked, _ = Checker().check(parse_points(f"{HEAD}\n{row}\n", "own.csv"))

    assert checked[0].measured_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no column model"),
        (HEAD, "holds no points"),
        (f"{HEAD.replace('tp,', '')}\n{ROW}", "no column tp"),
        (f"{HEAD}\n{ROW.replace('tpot_ms', 'warmth')}", "line 2"),
        (f"{HEAD}\n{ROW.replace('9.5', 'fast')}", "line 2"),
        (f"{HEAD}\n{ROW.replace('9.5', '-1')}", "not positive"),
        (f"# a comment\n{HEAD}\n{ROW.replace(',16,', ',0,')}", "line 3"),
    ],
)
def test_a_bad_file_is_named_with_its_line(text: str, word: str) -> None:
    """One line says what is wrong and where."""
    with pytest.raises(UsageError, match=word):
        parse_points(text, "own.csv")


def test_what_cannot_be_predicted_is_counted_with_its_reason(tmp_path: Path) -> None:
    """Unknown models, GPUs and formats leave the others judged."""
    rows = [
        ROW,
        ROW.replace("llama-3.1-8b", "gpt-9"),
        ROW.replace("bf16", "fp2"),
        ROW.replace("h100", "h900"),
    ]
    file = tmp_path / "points.csv"
    file.write_text("\n".join([HEAD, *rows]))

    ran = CliRunner().invoke(command, ["--check", str(file), "--json"])

    found = json.loads(ran.stdout)
    assert ran.exit_code == 0
    assert sum(count for _, count in found["refused"]) == 3
    assert found["judged"][0]["points"] == 1


def test_check_prints_a_table() -> None:
    """The command without a file checks the points of the package."""
    ran = CliRunner().invoke(command, ["--check", "--markdown"])

    assert ran.exit_code == 0
    assert "| kind" in ran.stdout
    assert "inside the stated band" in ran.stdout


@pytest.mark.parametrize(
    ("share", "decode_s", "regime"),
    [
        (0.0, SHORT_STEP_S, "decode"),
        (0.0, SHORT_STEP_S * 0.99, "short step"),
        (PROMPT_SHARE, 0.01, "prompts"),
        (PROMPT_SHARE - 0.01, 0.01, "decode"),
    ],
)
def test_a_time_belongs_to_a_regime(share: float, decode_s: float, regime: str) -> None:
    """Short steps stand apart, and so do loads that mostly read prompts."""
    assert regime_of("per token", share, decode_s) == regime


def test_a_longer_step_never_ends_its_band_earlier() -> None:
    """Around the limit of short steps the upper end rises without a jump."""
    ends = [s * 1e-4 * band_of("per token", False, 0.0, s * 1e-4)[1] for s in range(1, 60)]

    assert ends == sorted(ends)
    assert band_of("per token", False, 0.0, 5e-4)[1] > 2 * band_of("per token", False, 0.0, 5e-3)[1]


def test_bands_hold_the_prediction_itself() -> None:
    """No class states a band that leaves out its own estimate."""
    for band in shipped().values():
        assert band.low <= 1.0 <= band.high
        assert band.points >= 6
    assert band_of("first token", experts=False, prompt_share=0.0, decode_s=1.0)[1] > 1


def test_only_modeled_times_take_the_band() -> None:
    """A measured time keeps its own interval; a modeled one never falls below its roof."""
    modeled = Estimate(seconds=2.0, low=2.0, high=2.0, floor=1.8, source="modeled")
    measured = msgspec.structs.replace(modeled, low=1.9, source="measured")

    assert (modeled.banded(0.5, 1.5).low, modeled.banded(0.5, 1.5).high) == (1.8, 3.0)
    assert measured.banded(0.5, 1.5) == measured


def test_a_point_is_frozen_data() -> None:
    """Points are compared by value, so that a copy of the shipped file is recognized."""
    point = shipped_points()[0]

    assert msgspec.json.decode(msgspec.json.encode(point), type=Point) == point
