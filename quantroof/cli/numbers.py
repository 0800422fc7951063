"""Numbers on the command line. click's ranges let NaN through; a gate with such a threshold would pass."""

from __future__ import annotations

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """A number within a range; NaN and infinity are refused."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or click's usage error."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


SHARE = Finite(0, 1, min_open=True)
POSITIVE = Finite(0, min_open=True)
NOT_NEGATIVE = Finite(0)
