"""How far measured times of served models lie from predicted ones: the band that every modeled time states.

The ranges are those of the calibration points (see `points`): by kind of time, by whether a model has
experts, by the share of the time that the prompts of others take, and apart for steps so short that the host
may bind.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

from quantroof.files import parse_toml

Kind = Literal["per token", "first token", "first token under load"]
Regime = Literal["short step", "decode", "prompts", "any"]
SCHEMA = "quantroof-bands/1"
# A step of fewer seconds than this may take as long as the host needs to prepare the next.
SHORT_STEP_S = 3e-3
# The share of the time per token from which the others' prompts, not decoding, decide it.
PROMPT_SHARE = 0.4


class Band(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The range of measured over predicted that holds nine of ten calibration points of a class."""

    kind: Kind
    experts: bool
    regime: Regime
    low: float
    high: float
    points: int


class _BandFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: str
    source: str
    band: tuple[Band, ...]


@lru_cache(maxsize=1)
def shipped() -> dict[tuple[Kind, bool, Regime], Band]:
    """The bands of the package by class."""
    text = (files("quantroof") / "advisor" / "bands.toml").read_text(encoding="utf-8")
    table = parse_toml(text, _BandFile, "bands.toml", SCHEMA)
    return {(band.kind, band.experts, band.regime): band for band in table.band}


def regime_of(kind: Kind, prompt_share: float, decode_s: float) -> Regime:
    """The class of a time by what it is made of."""
    if kind != "per token":
        return "any"
    if decode_s < SHORT_STEP_S:
        return "short step"
    return "decode" if prompt_share < PROMPT_SHARE else "prompts"


def band_of(kind: Kind, experts: bool, prompt_share: float, decode_s: float) -> tuple[float, float]:
    """Low and high of measured over predicted.

    What the host needs is a time, not a share: the upper end of a short step is at most that of the shortest
    step that is not short, so that a longer step never has a lower end.
    """
    regime = regime_of(kind, prompt_share, decode_s)
    band = shipped()[kind, experts, regime]
    if regime != "short step":
        return band.low, band.high
    usual = shipped()[kind, experts, "decode"].high
    return band.low, max(usual, min(band.high, usual * SHORT_STEP_S / decode_s))
