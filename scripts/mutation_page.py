"""The page of mutation scores: what was killed, what survived, and what changes nothing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mutants import Mutant

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    mutant: Mutant
    killed: bool


@dataclass(frozen=True)
class Score:
    """The mutants of one group: how many, and rows of those that survived."""

    name: str
    mutants: int
    survivors: list[str]
    equivalent: list[str]

    @property
    def killed(self) -> float:
        """Share of the mutants that change something and were noticed."""
        counted = self.mutants - len(self.equivalent)
        return 1.0 if not counted else 1 - len(self.survivors) / counted


def explained(config: dict[str, object]) -> dict[tuple[str, str, str], str]:
    """Survivors that change nothing: file, line before and after, to the reason."""
    rows = config.get("equivalent", [])
    assert isinstance(rows, list)
    return {(row["file"], row["was"], row["became"]): row["reason"] for row in rows}


def report(name: str, outcomes: list[Outcome], reasons: dict[tuple[str, str, str], str]) -> Score:
    """Count the outcomes of a group."""
    survivors, equivalent = [], []
    for outcome in outcomes:
        if outcome.killed:
            continue
        mutant = outcome.mutant
        was, became = mutant.shown((ROOT / mutant.file).read_bytes())
        reason = reasons.get((mutant.file, was, became))
        row = f"| {mutant.file}:{mutant.line} | {_code(was)} | {_code(became)} |"
        (survivors if reason is None else equivalent).append(row + (f" {reason} |" if reason else ""))
    return Score(name, len(outcomes), survivors, equivalent)


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"


def made_with() -> str:
    """Date, commit and Python of a page."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    return f"{datetime.now(UTC):%F}, commit {commit}, Python {sys.version.split()[0]}"


def page(scores: list[Score], sample: int | None, seed: int, times: float) -> str:
    """The page in Markdown; without a sample, of every mutant."""
    drawn = "" if sample is None else f" --sample {sample} --seed {seed}"
    rows = "\n".join(
        f"| {s.name} | {s.mutants} | {len(s.equivalent)} | {len(s.survivors)} | {s.killed:.1%} |"
        for s in scores
    )
    survivors = "\n".join(row for s in scores for row in s.survivors) or "| none | | |"
    equivalent = "\n".join(row for s in scores for row in s.equivalent) or "| none | | | |"
    return f"""# Mutation score

Made by `scripts/mutation.py{drawn}` on {made_with()}.
A mutant is one changed comparison, constant, operator or condition. It is killed if a test of its group
fails, or if its tests take {times:.0f} times as long as they should. The quick tests run, without those that
measure time or need a GPU.

| group | mutants | change nothing | survive | killed of the rest |
|---|---|---|---|---|
{rows}

## Survivors

| place | was | became |
|---|---|---|
{survivors}

## Mutants that change nothing

| place | was | became | why no test can fail |
|---|---|---|---|
{equivalent}
"""
