"""Scores and labels on examples where one step decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantroof.errors import UsageError
from quantroof.fleet.groups import read_labels
from quantroof.fleet.scores import learn_siblings
from quantroof.fleet.slow_side import slow_side

MEMORY = np.array([[1.0, 0.0]] * 4)


def test_two_gpus_have_a_spread_of_their_own() -> None:
    """One GPU has the usual spread for every case; two that agree have less."""
    times = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])

    assert (learn_siblings(times, MEMORY).case_spread < learn_siblings(times[:1], MEMORY).case_spread).all()


@pytest.mark.parametrize(("gpus", "learned"), [(127, False), (128, True)])
def test_the_tail_is_learned_from_128_gpus_on(gpus: int, *, learned: bool) -> None:
    """Fewer do not show how heavy it is: a heavy one is assumed, of 5 degrees of freedom."""
    levels = np.linspace(-0.02, 0.02, gpus)

    assert (slow_side(levels, 0.01).freedom != 5) is learned


def test_labels_leave_out_what_is_empty(tmp_path: Path) -> None:
    """A node without a rack is in no rack, rather than in the one with an empty name."""
    file = tmp_path / "labels.csv"
    file.write_text("node,rack,cooling\na,r1,water\nb,,air\n")

    assert read_labels(file) == {"a": {"rack": "r1", "cooling": "water"}, "b": {"cooling": "air"}}


@pytest.mark.parametrize("text", ["", "rack,cooling\nr1,water\n"], ids=["empty", "no node"])
def test_labels_without_nodes_are_refused(text: str, tmp_path: Path) -> None:
    """An empty file has no header at all."""
    file = tmp_path / "labels.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match="the header has no column 'node'"):
        read_labels(file)
