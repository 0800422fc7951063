"""Baseline files: the time of every case with its uncertainty, under a contract.

JSON with one case per line, sorted, so that a review shows what moved. The file is checked when it is read: a
wrong schema, a missing field or an invalid number is an error with the file's name.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from quantroof.errors import UsageError
from quantroof.files import MALFORMED, malformed, read_bytes, write_to
from quantroof.gate.anchor_weights import Follows
from quantroof.gate.contract import Contract
from quantroof.gate.times import Key
from quantroof.records.lines import AnchorName, parsed_case

SCHEMA = "quantroof-baseline/1"
MIN_RUNS = 5

Positive = Annotated[float, msgspec.Meta(gt=0, lt=1e18)]  # of ns: thirty years
Spread = Annotated[float, msgspec.Meta(gt=0, le=10)]
MAX_RUNS = 1000
_SEPARATOR = " "  # between case and kernel: neither contains a space


class CaseBand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case. `ns` is the center of its run statistic with the anchors at their own centers.

    `scale` is the spread between runs and `process` the spread between processes, both relative; `detectable`
    is the smallest slowdown that is found with 90 % power at the default threshold; `follows` is the anchor
    that times are divided by.
    """

    ns: Positive
    scale: Spread
    process: Spread
    detectable: Positive
    runs: Annotated[int, msgspec.Meta(ge=MIN_RUNS, le=MAX_RUNS)]
    follows: Follows

    def moved_to(self, other: CaseBand) -> bool:
        """Whether another band of this case lies further off than what this one detects."""
        return abs(other.ns / self.ns - 1) > self.detectable

    @property
    def weights(self) -> dict[AnchorName, float]:
        """The weight of each anchor."""
        if self.follows == "both":
            return {"gemm": 0.5, "copy": 0.5}
        return {self.follows: 1.0}


class AnchorBand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An anchor's center, its spread from run to run, and how far it may move within a process."""

    ns: Positive
    scale: Spread
    may_move: Spread


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole baseline file. `kernels` holds source hashes, `cases` bands by `case kernel`.

    `digest` is the SHA-256 of everything else, in the file only: a case that a merge or an editor removed
    would not be missed otherwise. Files of the first version have none.
    """

    schema: str
    contract: Contract
    simulated: bool
    runs: tuple[str, ...]
    anchors: dict[AnchorName, AnchorBand]
    kernels: dict[str, str]
    cases: dict[str, CaseBand]
    digest: str | None = None

    def __post_init__(self) -> None:
        if set(self.anchors) != {"gemm", "copy"}:
            raise ValueError("anchors must be gemm and copy")
        if not self.cases:
            raise ValueError("it has no cases")
        for name in self.cases:
            _require_case(name)

    @property
    def anchor_limits(self) -> dict[AnchorName, float]:
        """How far each anchor may move within a process."""
        return {name: band.may_move for name, band in self.anchors.items()}

    def bands(self) -> dict[Key, CaseBand]:
        """The cases by case id and kernel name."""
        return {split_name(name): band for name, band in self.cases.items()}


_DECODER = msgspec.json.Decoder(Baseline)


def _require_case(name: str) -> None:
    case, separator, kernel = name.partition(_SEPARATOR)
    if not separator or not kernel or _SEPARATOR in kernel:
        raise ValueError(f"'{name}' is not `case kernel`")
    try:
        parsed_case(case)
    except UsageError as error:
        raise ValueError(str(error)) from None  # msgspec turns it into a ValidationError with the path


def join_name(key: Key) -> str:
    """`case kernel`."""
    return _SEPARATOR.join(key)


def split_name(name: str) -> Key:
    """Case id and kernel name."""
    case, kernel = name.split(_SEPARATOR)
    return case, kernel


def parse(data: bytes, where: str) -> Baseline:
    """Read the bytes of a baseline file; UsageError if they are not one."""
    try:
        head = msgspec.json.decode(data)
    except MALFORMED as error:
        raise UsageError(f"not a baseline: {malformed(error)}", where=where) from None
    schema = head.get("schema") if isinstance(head, dict) else None
    if schema != SCHEMA:
        hint = "write it again with `quantroof gate baseline update`"
        raise UsageError(f"its schema is {schema!r}, this version reads '{SCHEMA}'", where=where, hint=hint)
    try:
        baseline = _DECODER.decode(data)
    except MALFORMED as error:
        raise UsageError(f"not a valid baseline: {malformed(error)}", where=where) from None
    if baseline.digest not in (None, _digest(head)):
        hint = "restore it from git, or write it again with `quantroof gate baseline update`"
        raise UsageError("was changed after it was written: its digest differs", where=where, hint=hint)
    return replace(baseline, digest=None)


def _digest(data: dict[str, Any]) -> str:
    """The digest of a file's own fields, so that a field which a later version adds changes none."""
    content = {name: value for name, value in data.items() if name != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read(path: Path) -> Baseline:
    """Read a baseline file."""
    return parse(read_bytes(path, hint="create one with `quantroof gate baseline update`"), str(path))


def text_of(baseline: Baseline) -> str:
    """The file's text, with one line per kernel and per case."""
    data: dict[str, Any] = msgspec.to_builtins(baseline)
    data["digest"] = _digest(data)
    parts = [f' "{name}": {_block(name, value)}' for name, value in data.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write(baseline: Baseline, path: Path) -> None:
    """Write the file and create its folder; EnvironmentMissing if that fails."""
    write_to(path, lambda file: file.write_text(text_of(baseline), encoding="utf-8"))


def _block(name: str, value: Any) -> str:
    if name not in ("anchors", "kernels", "cases", "contract"):
        return json.dumps(value)
    names = value if name == "contract" else sorted(value)
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value[key])}" for key in names)
    return "{\n" + lines + "\n }" if lines else "{}"
