"""The lesson's claims, judged by every room together: the list behind `quantroof claims` and the report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file, files
from typing import Literal

from quantroof.analysis.choice import LayerChoice
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.roofs import ceiling_rate
from quantroof.analysis.speed import baseline, speed_ups
from quantroof.claims import accuracy as quality
from quantroof.claims import hardware
from quantroof.claims import serving as advisor
from quantroof.claims.model import (
    Claim,
    Claims,
    Evaluator,
    Judgement,
    judge_all,
    judged,
    need,
    read_all,
    undecided,
)
from quantroof.records.directory import Run
from quantroof.records.quality import QualityStudy

RowVerdict = Literal["holds", "in part", "wrong", "open"]
SHIPPED = ("hardware.toml", "serving.toml", "accuracy.toml")
SYMBOLS: dict[RowVerdict, str] = {"holds": "✓", "in part": "◐", "wrong": "✗", "open": "?"}
_ROW = re.compile(r"([A-Z])(\d{1,4})([a-z]?)")
Timed = list[tuple[DeviceResults, list[LayerChoice]]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the checklist with the claims it consists of, and the verdict that they add up to."""

    name: str
    judgements: tuple[Judgement, ...]

    @property
    def verdict(self) -> RowVerdict:
        """`in part` where some claims hold and others do not; those left open do not count beside others."""
        told = {j.outcome for j in self.judgements} - {"cannot tell here"}
        if not told:
            return "open"
        if len(told) == 2:
            return "in part"
        return "holds" if told == {"holds"} else "wrong"

    @property
    def symbol(self) -> str:
        """A sign beside the word."""
        return SYMBOLS[self.verdict]


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one letter, in order."""

    letter: str
    title: str
    rows: tuple[Row, ...]


def shipped() -> Claims:
    """The lesson's claims, of all rooms."""
    with ExitStack() as stack:
        paths = [stack.enter_context(as_file(files("quantroof.claims") / name)) for name in SHIPPED]
        return read_all(paths)


def judge(claims: Sequence[Claim], timed: Timed, study: QualityStudy | None) -> list[Judgement]:
    """Judge by everything at hand: catalog, machine code, arithmetic, the lab's table, a study, timed runs.

    A simulated device is no evidence and counts for nothing.
    """
    real = [(results, own) for results, own in timed if not results.run.info.simulated]
    runs = list({id(results.run): results.run for results, _ in real}.values())
    known: dict[str, Evaluator] = {
        **hardware.evaluators(rates_by_profile(runs)),
        **advisor.evaluators(),
        **quality.evaluators(study),
        "measured-speedup": partial(_measured_speed_up, real),
        "never-slower": partial(_never_slower, real),
    }
    return judge_all(claims, known)


def sections(judgements: Sequence[Judgement], titles: dict[str, str]) -> list[Section]:
    """Judgements by row and section, in the order of the checklist; a claim without a row is its own."""
    rows: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        rows.setdefault(judgement.claim.row or judgement.claim.id, []).append(judgement)
    letters: dict[str, list[Row]] = {}
    for name in sorted(rows, key=_order):
        letter = name[:1] if name[:1] in titles else ""
        letters.setdefault(letter, []).append(Row(name, tuple(rows[name])))
    return [Section(letter, titles.get(letter, "Claims"), tuple(found)) for letter, found in letters.items()]


def command_for(judgement: Judgement) -> str:
    """What repeats or would decide a judgement."""
    claim = judgement.claim
    return judgement.command or claim.command or f"quantroof claims --only {claim.row or claim.id}"


def rates_by_profile(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Best rate of every element on real GPUs of the runs: by library kernels or single instructions."""
    found: dict[str, dict[str, float]] = {}
    for run in runs:
        devices = {d.id: d.profile_id for d in run.info.devices if d.kind == "cuda"}
        for ceiling in run.ceilings:
            profile_id, rate = devices.get(ceiling.device), ceiling_rate(ceiling)
            if profile_id is None or rate is None or ceiling.quantity not in ("matrix", "instruction"):
                continue
            element = ceiling.name.removeprefix("mma.sync/").partition("/")[0]
            rates = found.setdefault(profile_id, {})
            rates[element] = max(rates.get(element, 0.0), rate)
    return found


def _order(name: str) -> tuple[str, int, str]:
    """A2 before A10; names of another kind by themselves."""
    match = _ROW.fullmatch(name)
    return (match[1], int(match[2]), match[3]) if match else (name, 0, "")


def _measured_speed_up(timed: Timed, claim: Claim) -> Judgement:
    """`element` is `low` to `high` times as fast as 16 bit at `batch`, on `profile` or any GPU measured."""
    name = need(claim, "element", claim.element)
    where = claim.profile or "a GPU"
    command = f"quantroof run on {where}, then quantroof claims --run RUN"
    for results, choices in timed:
        device = results.device
        if device.kind != "cuda" or (claim.profile and device.profile_id != claim.profile):
            continue
        found = next((by.get(name) for m, by in speed_ups(choices) if m == claim.batch), None)
        if found is None:
            continue
        interval = f"{found.median:.2f}x [{found.low:.2f}, {found.high:.2f}]"
        text = f"{device.name}, M = {claim.batch}: {name} {interval}"
        holds = found.high >= (claim.low or 0) and (claim.high is None or found.low <= claim.high)
        return judged(claim, holds, f"{text} of {baseline(choices)}, all layers", command=command)
    return undecided(claim, f"needs a GPU: {name} was not timed on {where} here", command=command)


def _never_slower(timed: Timed, claim: Claim) -> Judgement:
    """No quantized format is slower than 16 bit at any batch of any device measured."""
    command = "quantroof run, then quantroof claims --run RUN"
    for results, choices in timed:
        slow = [
            (m, name, found)
            for m, by in speed_ups(choices)
            for name, found in by.items()
            if found.high < 1 and name.startswith(("int", "fp8", "nf4"))
        ]
        if slow:
            m, name, found = min(slow, key=lambda entry: entry[2].median)
            text = (
                f"{results.device.name}, M = {m}: {name} runs at {found.median:.2f}x of {baseline(choices)}"
            )
            return judged(claim, False, f"{text}; {len(slow)} such cases in all", command=command)
    reason = "no device was measured" if not timed else "nothing was slower where it was measured"
    return undecided(claim, f"needs a run: {reason}", command=command)
