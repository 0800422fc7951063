"""The advisor's error by group: points, median and 90th percentile, and the share inside the band."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from statistics import median

import msgspec

from quantroof.advisor.check import Checked, Checker, Refused
from quantroof.advisor.points import Point, calibration_points

PROMISED_SHARE = 0.90
"""The share of points that a band promises to hold."""
FEW_POINTS = 20
"""Below this count the share inside a band says little."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. Errors are |predicted / measured - 1|, `ratio` is the median quotient."""

    by: str
    name: str
    points: int
    median_error: float
    p90_error: float
    inside: float
    width: float
    ratio: float

    @property
    def misses(self) -> bool:
        """Whether the band holds fewer points than it promises."""
        return self.inside < PROMISED_SHARE

    @property
    def small(self) -> bool:
        """Whether the group has too few points for its share to say much."""
        return self.points < FEW_POINTS


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The error of one file of points. `judged` leaves out those that the bands were made from."""

    points: int
    calibration: int
    judged: tuple[Group, ...]
    refused: tuple[tuple[str, int], ...]
    """Why points were not predicted, and how many."""


_GROUPS: tuple[tuple[str, Callable[[Checked], str]], ...] = (
    ("kind", lambda c: f"{c.shown}, experts" if c.experts else c.shown),
    ("model", lambda c: "experts" if c.experts else "dense"),
    ("GPU", lambda c: c.point.gpu),
    ("format", lambda c: c.point.format),
    ("engine", lambda c: c.point.engine),
)


def check(
    points: Iterable[Point], checker: Checker | None = None, aside: Mapping[str, int] | None = None
) -> Check:
    """Predict every point, and gather the errors of those that calibrated nothing.

    `aside` counts what a file holds beside its points, by the reason why it is none.
    """
    all_points = tuple(points)
    made_from = calibration_points(all_points)
    checker = checker or Checker()
    checked, refused = checker.check(point for point in all_points if point not in made_from)
    return Check(
        points=len(all_points),
        calibration=sum(point in made_from for point in all_points),
        judged=tuple(_groups(checked)),
        refused=_counted(refused, aside or {}),
    )


def _groups(checked: list[Checked]) -> Iterable[Group]:
    """All times per token, then the groups. First tokens under load wait in queues, so they stand apart."""
    per_token = [c for c in checked if c.kind == "per token"]
    if per_token:
        yield _group("all", "times per token", per_token)
    for by, name_of in _GROUPS:
        by_name: dict[str, list[Checked]] = defaultdict(list)
        for one in checked if by == "kind" else per_token:
            by_name[name_of(one)].append(one)
        yield from (_group(by, name, by_name[name]) for name in sorted(by_name))


def _group(by: str, name: str, members: list[Checked]) -> Group:
    errors = sorted(c.error for c in members)
    return Group(
        by=by,
        name=name,
        points=len(members),
        median_error=median(errors),
        p90_error=errors[math.ceil(0.9 * len(errors)) - 1],
        inside=sum(c.inside for c in members) / len(members),
        width=median(c.width for c in members),
        ratio=median(c.predicted_s / c.measured_s for c in members),
    )


def _counted(refused: list[Refused], aside: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = defaultdict(int, aside)
    for one in refused:
        counts[one.reason] += 1
    return tuple(sorted(counts.items(), key=lambda item: -item[1]))
