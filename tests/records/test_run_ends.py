"""Whether a run reached its end: its last end decides, and a run that was built has no half line."""

from __future__ import annotations

from typing import Literal

import pytest

from quantroof.records.run import RunEnd
from tests.builders import info, run

Outcome = Literal["complete", "interrupted"]


@pytest.mark.parametrize(
    ("outcomes", "complete"),
    [
        ((), False),
        (("complete",), True),
        (("interrupted",), False),
        (("interrupted", "complete"), True),
        (("complete", "interrupted"), False),
    ],
)
def test_the_last_end_decides(outcomes: tuple[Outcome, ...], *, complete: bool) -> None:
    """A resumed run has the end of each part; before the first, it has none."""
    ended = run(info([]), [])
    ended.ends = [RunEnd(finished_at="2026-01-01T00:00:00+00:00", outcome=outcome) for outcome in outcomes]

    assert (ended.complete, ended.truncated) == (complete, False)
