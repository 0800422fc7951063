"""The built-in claims as a checklist: judged together, in the order of rows, one verdict per row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Literal

from quantroof.analysis.choice import LayerChoice
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.roofs import ceiling_rate
from quantroof.claims.claim import Claim, ClaimResult, Evidence
from quantroof.claims.reading import Claims, read_claims
from quantroof.records.directory import Run
from quantroof.records.quality import QualityStudy

RowVerdict = Literal["holds", "in part", "wrong", "open"]
HARDWARE = "hardware.toml"
LESSON = (HARDWARE, "serving.toml", "accuracy.toml")
_ROW = re.compile(r"([A-Z])(\d{1,4})([a-z]?)")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the checklist: the claims it consists of, and the verdict that they add up to."""

    name: str
    results: tuple[ClaimResult, ...]

    @property
    def verdict(self) -> RowVerdict:
        """`in part` where some claims hold and others are wrong; undecided ones count only if all are."""
        outcomes = {result.outcome for result in self.results} - {"cannot tell here"}
        if not outcomes:
            return "open"
        if len(outcomes) == 2:
            return "in part"
        return "holds" if outcomes == {"holds"} else "wrong"


def shipped(names: Sequence[str] = LESSON) -> Claims:
    """The lesson's claims, of all of its files or of some."""
    with ExitStack() as stack:
        return read_claims([stack.enter_context(as_file(files("quantroof.claims") / name)) for name in names])


def evidence_of(
    timed: Sequence[tuple[DeviceResults, list[LayerChoice]]] = (), study: QualityStudy | None = None
) -> Evidence:
    """The evidence in runs and a study. A simulated device is not evidence and is left out."""
    real = [(results, choices) for results, choices in timed if not results.run.info.simulated]
    runs = {id(results.run): results.run for results, _ in real}
    return Evidence(_rates_by_profile(runs.values()), study, real)


def judge(claims: Iterable[Claim], evidence: Evidence) -> list[ClaimResult]:
    """Judge every claim, in order."""
    return [claim.judge(evidence) for claim in claims]


def rows(results: Iterable[ClaimResult]) -> list[Row]:
    """Results by row, in the order of the checklist; a claim without a row is one by itself."""
    by_row: dict[str, list[ClaimResult]] = {}
    for result in results:
        by_row.setdefault(result.claim.row or result.claim.id, []).append(result)
    return [Row(name, tuple(by_row[name])) for name in sorted(by_row, key=_order)]


def command_for(result: ClaimResult) -> str:
    """The command that repeats a result, or that would decide it."""
    return result.command or f"quantroof claims --only {result.claim.row or result.claim.id}"


def _rates_by_profile(runs: Iterable[Run]) -> dict[str, dict[str, float]]:
    """The best rate of every element on each GPU profile: by library kernels or single instructions."""
    best: dict[str, dict[str, float]] = {}
    for run in runs:
        profiles = {d.id: d.profile_id for d in run.info.devices if d.kind == "cuda"}
        for ceiling in run.ceilings:
            profile_id, rate = profiles.get(ceiling.device), ceiling_rate(ceiling)
            if profile_id is None or rate is None or ceiling.quantity not in ("matrix", "instruction"):
                continue
            element = ceiling.name.removeprefix("mma.sync/").partition("/")[0]
            rates = best.setdefault(profile_id, {})
            rates[element] = max(rates.get(element, 0.0), rate)
    return best


def _order(name: str) -> tuple[str, int, str]:
    """A2 before A10; other names by their text."""
    match = _ROW.fullmatch(name)
    return (match[1], int(match[2]), match[3]) if match else (name, 0, "")
