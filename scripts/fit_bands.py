"""Make the advisor's bands from the calibration points alone; prints the TOML that it reads.

    python scripts/fit_bands.py > quantroof/advisor/bands.toml

A class with fewer than `ENOUGH` calibration points takes the range of all points of its kind.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import get_args

from quantroof.advisor.bands import SCHEMA, Kind, Regime
from quantroof.advisor.check import Checker
from quantroof.advisor.points import shipped_points

ENOUGH = 12
# Nine of ten points of a class lie inside, with room for those of deployments that were not seen.
OUTSIDE = 0.035


def main() -> int:
    """Print one band per class."""
    ratios = defaultdict(list)
    points = [point for point in shipped_points() if point.split == "calibration"]
    for found in Checker().check(points)[0]:
        ratios[found.kind, found.experts, found.regime].append(found.measured_s / found.predicted_s)
    print(f'schema = "{SCHEMA}"')
    print('source = "scripts/fit_bands.py, from the calibration points of serving_points.csv"')
    for kind, experts in product(get_args(Kind), (False, True)):
        for regime in get_args(Regime):
            if (regime == "any") != (kind != "per token"):
                continue
            own = ratios[kind, experts, regime]
            if len(own) < ENOUGH:
                own = [r for key, values in ratios.items() if _akin(key, kind, regime) for r in values]
            low, high = _range(sorted(own))
            print("\n[[band]]")
            print(f'kind = "{kind}"\nexperts = {str(experts).lower()}\nregime = "{regime}"')
            print(f"low = {low:.3f}\nhigh = {high:.3f}\npoints = {len(own)}")
    return 0


def _akin(key: tuple[Kind, bool, Regime], kind: Kind, regime: Regime) -> bool:
    return key[0] == kind and key[2] == regime


def _range(ratios: list[float]) -> tuple[float, float]:
    """The quantiles of a sorted list, and one where the prediction itself lies outside of them."""
    last = len(ratios) - 1
    low, high = (ratios[round(share * last)] for share in (OUTSIDE, 1 - OUTSIDE))
    return min(low, 1.0), max(high, 1.0)


if __name__ == "__main__":
    raise SystemExit(main())
