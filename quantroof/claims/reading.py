"""Claims files: TOML with single claims, and matrices of yes and no that become one claim per cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from quantroof.claims.accuracy import AccuracyClaim
from quantroof.claims.claim import Claim
from quantroof.claims.hardware import HardwareClaim, Support
from quantroof.claims.recorded import RecordedClaim
from quantroof.claims.serving import ServingClaim
from quantroof.claims.speed import SpeedClaim
from quantroof.errors import UsageError, unknown_name
from quantroof.files import checked, read_text, toml_table
from quantroof.hwprofiles.types import Unit

AnyClaim = HardwareClaim | ServingClaim | AccuracyClaim | SpeedClaim | RecordedClaim
KINDS: tuple[str, ...] = tuple(str(kind.__struct_config__.tag) for kind in get_args(AnyClaim))


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
    claim: tuple[AnyClaim, ...] = ()
    matrix: tuple[_Matrix, ...] = ()


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one or several files, and the titles of their sections by the first letter of a row."""

    claims: tuple[Claim, ...]
    sections: dict[str, str]


def read_claims(paths: Iterable[Path]) -> Claims:
    """The claims of several files as one list. UsageError for a malformed file and for an id used twice."""
    claims: list[Claim] = []
    sections: dict[str, str] = {}
    for path in paths:
        file = _read(path)
        claims += [*(cell for matrix in file.matrix for cell in _cells(matrix, path)), *file.claim]
        sections |= file.sections
        ids = [claim.id for claim in claims]
        if repeated := next((i for i in ids if ids.count(i) > 1), None):
            raise UsageError(f"two claims have the id '{repeated}'", where=str(path))
    return Claims(tuple(claims), sections)


def _read(path: Path) -> _File:
    data = toml_table(read_text(path), str(path))
    _check_kinds(data, path)
    return checked(data, _File, str(path))


def _check_kinds(data: dict[str, Any], path: Path) -> None:
    """UsageError with the nearest names for a kind of claim that does not exist."""
    claims = data.get("claim")
    for claim in claims if isinstance(claims, list) else []:
        kind = claim.get("kind") if isinstance(claim, dict) else None
        if isinstance(kind, str) and kind not in KINDS:
            raise unknown_name("kind of claim", kind, list(KINDS), where=f"{path}: {claim.get('id')}")


def _cells(matrix: _Matrix, path: Path) -> Iterable[Support]:
    for row in matrix.rows:
        if len(row.cells) != len(matrix.columns):
            what = f"row '{row.name}' has {len(row.cells)} cells for {len(matrix.columns)} columns"
            raise UsageError(what, where=f"{path}: {matrix.id}")
        for column, native in zip(matrix.columns, row.cells, strict=True):
            yield Support(
                id=f"{matrix.id}/{row.element}/{column.profile}",
                text=f"{row.name} on {column.name}: {'native' if native else 'no'}",
                row=matrix.row,
                profile=column.profile,
                element=row.element,
                unit=row.unit,
                states=native,
            )
