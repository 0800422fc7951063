"""Claims as data: what somebody says of hardware, formats or quality, in words and in terms to check.

A claims file holds single claims and matrices of yes and no, which become one claim a cell. The hardware
kinds are judged in this room; other rooms judge kinds of their own with the same `judge_all`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Unit

Outcome = Literal["holds", "wrong", "cannot tell here"]


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One statement. `kind` names its evaluator, the other fields are that evaluator's terms.

    `value` is in the kind's unit (TFLOP/s, GB/s, GB, a ratio), `tolerance` relative. `states` is what a claim
    of yes or no says.
    """

    id: str
    text: str
    kind: str
    profile: str | None = None
    other: str | None = None
    element: str | None = None
    over: str | None = None
    unit: Unit = "matrix"
    accumulator: str | None = None
    sparse: bool = False
    states: bool | None = None
    value: float | None = None
    tolerance: float = 0.01
    architectures: tuple[str, ...] = ()


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a claim, with the evidence in sentences."""

    claim: Claim
    outcome: Outcome
    evidence: tuple[str, ...]


Evaluator = Callable[[Claim], Judgement]


class _Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    profile: str


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    element: str
    unit: Unit
    cells: tuple[bool, ...]


class _Matrix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str
    columns: tuple[_Column, ...]
    rows: tuple[_Row, ...]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str
    claim: tuple[Claim, ...] = ()
    matrix: tuple[_Matrix, ...] = ()


def read_claims(path: Path) -> tuple[Claim, ...]:
    """The claims of a file, matrices taken apart. UsageError says what is malformed."""
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"not a claims file: {error}", where=str(path)) from None
    claims = [*(c for matrix in file.matrix for c in _cells(matrix, path)), *file.claim]
    ids = [claim.id for claim in claims]
    if doubled := next((i for i in ids if ids.count(i) > 1), None):
        raise UsageError(f"two claims have the id '{doubled}'", where=str(path))
    return tuple(claims)


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
                profile=column.profile,
                element=row.element,
                unit=row.unit,
                states=states,
            )


def judge_all(claims: Iterable[Claim], evaluators: Mapping[str, Evaluator]) -> list[Judgement]:
    """Judge every claim; a kind without an evaluator cannot be told, and the evidence says so."""
    return [evaluators.get(claim.kind, _unknown_kind)(claim) for claim in claims]


def _unknown_kind(claim: Claim) -> Judgement:
    text = f"no evaluator for claims of kind '{claim.kind}': it needs a measurement or a record of history"
    return Judgement(claim=claim, outcome="cannot tell here", evidence=(text,))
