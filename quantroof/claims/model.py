"""Claims as data: what somebody says of hardware, formats or quality, in words and in terms to check.

A claims file holds single claims and matrices of yes and no, which become one claim a cell. The hardware
kinds are judged in this room; other rooms judge kinds of their own with the same `judge_all`. What nothing
here can judge is recorded: `documented` with the document that settles it, `open` with what it would take.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Unit

Outcome = Literal["holds", "wrong", "cannot tell here"]
Needs = Literal["a GPU", "the model", "a source", "the lost text"]


Count = Annotated[int, msgspec.Meta(ge=1)]


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One statement. `kind` names its evaluator, the other fields are that evaluator's terms.

    `value` is in the kind's unit (TFLOP/s, GB/s, GB, a ratio), `tolerance` relative, `low` and `high` end a
    range. `states` is what a claim of yes or no says. `row` is the line of the list that it belongs to.
    """

    id: str
    text: str
    kind: str
    row: str | None = None
    profile: str | None = None
    other: str | None = None
    element: str | None = None
    over: str | None = None
    unit: Unit = "matrix"
    accumulator: str | None = None
    sparse: bool = False
    states: bool | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    tolerance: float = 0.01
    architectures: tuple[str, ...] = ()
    among: tuple[str, ...] = ()
    model: str | None = None
    parameters: float | None = None
    gpus: Count = 1
    over_gpus: Count | None = None
    batch: Count = 1
    context: Count = 2048
    outcome: Outcome | None = None
    needs: Needs | None = None
    reason: str | None = None
    source: str | None = None
    command: str | None = None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a claim, with the evidence in sentences and, where it differs, the command to repeat."""

    claim: Claim
    outcome: Outcome
    evidence: tuple[str, ...]
    command: str | None = None


Evaluator = Callable[[Claim], Judgement]
T = TypeVar("T")


class _Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    profile: str


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    element: str
    unit: Unit
    cells: tuple[bool, ...]


class _Matrix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    text: str
    row: str | None = None
    columns: tuple[_Column, ...]
    rows: tuple[_Row, ...]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str
    sections: dict[str, str] = {}
    claim: tuple[Claim, ...] = ()
    matrix: tuple[_Matrix, ...] = ()


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a file or of several, and the titles of their sections by the letter of a row."""

    claims: tuple[Claim, ...]
    sections: dict[str, str]


def read_claims(path: Path) -> tuple[Claim, ...]:
    """The claims of a file, matrices taken apart. UsageError says what is malformed."""
    return read_all([path]).claims


def read_all(paths: Iterable[Path]) -> Claims:
    """The claims of several files as one list; an id may stand in one of them only."""
    claims: list[Claim] = []
    sections: dict[str, str] = {}
    for path in paths:
        file = _read(path)
        claims += [*(c for matrix in file.matrix for c in _cells(matrix, path)), *file.claim]
        sections |= file.sections
        ids = [claim.id for claim in claims]
        if doubled := next((i for i in ids if ids.count(i) > 1), None):
            raise UsageError(f"two claims have the id '{doubled}'", where=str(path))
    return Claims(tuple(claims), sections)


def _read(path: Path) -> _File:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"not a claims file: {error}", where=str(path)) from None


def _cells(matrix: _Matrix, path: Path) -> Iterable[Claim]:
    for row in matrix.rows:
        if len(row.cells) != len(matrix.columns):
            what = f"row '{row.name}' has {len(row.cells)} cells for {len(matrix.columns)} columns"
            raise UsageError(what, where=f"{path}: {matrix.id}")
        for column, states in zip(matrix.columns, row.cells, strict=True):
            yield Claim(
                id=f"{matrix.id}/{row.element}/{column.profile}",
                text=f"{row.name} on {column.name}: {'native' if states else 'no'}",
                kind="support",
                row=matrix.row,
                profile=column.profile,
                element=row.element,
                unit=row.unit,
                states=states,
            )


def judge_all(claims: Iterable[Claim], evaluators: Mapping[str, Evaluator]) -> list[Judgement]:
    """Judge every claim; a kind without an evaluator cannot be told, and the evidence says so."""
    known = {**RECORDED, **evaluators}
    return [known.get(claim.kind, _unknown_kind)(claim) for claim in claims]


def judged(claim: Claim, holds: bool, *evidence: str, command: str | None = None) -> Judgement:
    """A claim that was decided."""
    outcome: Outcome = "holds" if holds else "wrong"
    return Judgement(claim=claim, outcome=outcome, evidence=evidence, command=command)


def undecided(claim: Claim, *evidence: str, command: str | None = None) -> Judgement:
    """A claim that cannot be told here, and why."""
    return Judgement(claim=claim, outcome="cannot tell here", evidence=evidence, command=command)


def near(claim: Claim, value: float, text: str) -> Judgement:
    """Whether the claim's value is within its tolerance of the right one."""
    return judged(claim, abs(need(claim, "value", claim.value) / value - 1) <= claim.tolerance, text)


def need(claim: Claim, key: str, value: T | None) -> T:
    """A term that the kind cannot do without."""
    if value is None:
        raise UsageError(f"a claim of kind '{claim.kind}' needs '{key}'", where=claim.id)
    return value


def _documented(claim: Claim) -> Judgement:
    """Settled by a document that was read, not by this machine: the evidence names it."""
    reason, source = need(claim, "reason", claim.reason), need(claim, "source", claim.source)
    if claim.outcome is None:
        raise UsageError("a documented claim needs 'outcome'", where=claim.id)
    return Judgement(claim=claim, outcome=claim.outcome, evidence=(reason, f"by document: {source}"))


def _open(claim: Claim) -> Judgement:
    """Not to be told here: what it needs, and why."""
    return undecided(
        claim, f"needs {need(claim, 'needs', claim.needs)}: {claim.reason or 'not measured here'}"
    )


def _unknown_kind(claim: Claim) -> Judgement:
    return undecided(claim, f"no evaluator for claims of kind '{claim.kind}'")


RECORDED: dict[str, Evaluator] = {"documented": _documented, "open": _open}
