"""What 10,000 broken files found, each kind once: a value too large for a float, or none at all."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import numpy as np
import pytest

from quantroof.advisor.imports import mamf
from quantroof.advisor.points import parse_points
from quantroof.analysis.spread import moderated_spreads, robust_spread
from quantroof.errors import UsageError
from quantroof.fleet.collection import Collection
from quantroof.fleet.parts import collect_parts
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from tests.commands import call
from tests.fuzz import mutate
from tests.fuzz_targets import DATA, POINTS, TARGETS


@pytest.mark.parametrize("sizes", [(10**15, 8, 8), (8, 10**15, 8), (8, 8, 10**15)])
def test_a_case_of_a_suite_has_bounded_sizes(sizes: tuple[int, int, int]) -> None:
    """As a case id: 15 digits are a size, 16 are none."""
    assert max(Case.linear(SCHEMES["bf16"], *(min(size, 10**15 - 1) for size in sizes)).id.split("-")[1:])
    with pytest.raises(UsageError, match="has more than 15 digits"):
        Case.linear(SCHEMES["bf16"], *sizes)


@pytest.mark.parametrize(
    ("old", "new"),
    [("829.25", "1e300"), (",128,128,64,", ",128,128,1000001,"), (",128,128,64,", ",-1,128,64,")],
)
def test_a_point_has_bounded_numbers(old: str, new: str) -> None:
    """A rate of 1e300 is a time of 0, and an error of 1/0."""
    text = POINTS.decode()
    assert parse_points(text, "points.csv")
    with pytest.raises(UsageError, match=r"points\.csv, line 2"):
        parse_points(text.replace(old, new, 1), "points.csv")


def test_a_log_with_a_rate_of_almost_nothing_is_refused() -> None:
    """Its time would be infinite, or longer than a sample may be."""
    file = DATA / "h200_mamf_fp8.txt"
    text = file.read_text()
    match = mamf._ROW.search(text)
    assert match is not None
    assert mamf.read(text, file).rows
    start, end = match.span("median")
    with pytest.raises(UsageError, match="has a rate that no machine reaches"):
        mamf.read(text[:start] + "0." + "0" * 29 + "1" + text[end:], file)


def test_gpus_without_a_common_case_have_no_spread() -> None:
    """An empty answer, without numpy's warning about the mean of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert moderated_spreads(np.empty((3, 0))).shape == (0,)
        assert robust_spread(np.empty((3, 0)), axis=1).tolist() == [0, 0, 0]


def test_a_time_below_zero_is_left_out_whatever_the_statistics_of_its_file_say(tmp_path: Path) -> None:
    """DuckDB leaves a filter out where a damaged part's statistics promise that every value passes it."""
    duckdb = pytest.importorskip("duckdb", reason="the store extra is not installed")
    target = next(target for target in TARGETS if target.name == "part, in a fleet")
    part = tmp_path / "part.parquet"
    part.write_bytes(mutate(target.content(), random.Random("part, in a fleet/122")))
    values = duckdb.sql(f"SELECT median_ns FROM '{part}'").fetchall()
    assert min(ns for (ns,) in values if ns is not None) < 0
    found = Collection()
    collect_parts([part], found)
    _, _, times = (np.concatenate(arrays) for arrays in zip(*found.chunks, strict=True))

    assert (times > 0).all()
    assert len(times) > 100


def test_a_long_file_name_is_cut_in_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The system refuses a name of 3,000 characters; the line that says so stays readable."""
    assert call("advise", "--gpu", "l4", "--model", "m" * 3000) in (2, 3)
    assert len(capsys.readouterr().err) < 400
