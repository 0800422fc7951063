"""The losses of the study that ships as data, for claims that are judged without a study of the user's own.

The file has no windows, so two methods are told apart only where their intervals do not overlap.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

Order = Literal["less", "more", "undecided"]
ORIGIN = "shipped study of the small model (docs/measured/quality.md)"


class ShippedLoss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Loss over the unquantized model in nats, with the half-width of its 95 % interval."""

    loss: float
    half_width: float
    seconds: float | None = None

    @property
    def words(self) -> str:
        """The loss with its interval."""
        return f"{self.loss:+.4f} +- {self.half_width:.4f}"


@lru_cache(maxsize=1)
def _losses() -> dict[str, dict[str, ShippedLoss]]:
    text = (files("quantroof.quality") / "study_losses.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=dict[str, dict[str, ShippedLoss]])


def shipped_loss(variant: str, method: str) -> ShippedLoss | None:
    """What a method lost on a variant of the model, None if it was not measured."""
    return _losses().get(variant, {}).get(method)


def order(one: ShippedLoss, other: ShippedLoss) -> Order:
    """Whether one loss is less or more than another, beyond both intervals."""
    if abs(one.loss - other.loss) <= one.half_width + other.half_width:
        return "undecided"
    return "less" if one.loss < other.loss else "more"
