"""The log of mamf-finder: the rate of a GEMM per shape, and the best of them as a ceiling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from quantroof.advisor.choices import choice
from quantroof.advisor.imports.rows import Row
from quantroof.bounds import LONGEST_NS, SHORTEST_NS
from quantroof.errors import UsageError
from quantroof.kernels.cases import Case
from quantroof.records.lines import Ceiling, Timing

_DTYPE = re.compile(r"^\*\* Dtype: (?:torch\.)?(\w+)", re.MULTILINE)
_ROW = re.compile(
    r"^\s*\d+ \|\s*[\d.]+\(mean\)\s+(?P<median>[\d.]+)\(median\)\s+[\d.]+\(max\) @ "
    r"(?P<m>\d+)x(?P<n>\d+)x(?P<k>\d+)",
    re.MULTILINE,
)
# Its fp8 product gets both operands and their scales ready made.
_FORMATS = {"bfloat16": "bf16", "float16": "fp16", "float8_e4m3fn": "fp8-w8a8-static"}
_SPREAD = 0.03  # what collections of one GPU differ by where the matrix units bind


@dataclass(frozen=True, slots=True)
class Log:
    """What one log holds."""

    rows: list[Row]
    ceiling: Ceiling


def read(text: str, file: Path) -> Log:
    """The rows of a log. UsageError for an unknown element type, and for a text without rows."""
    named = _DTYPE.search(text)
    if named is None or named[1] not in _FORMATS:
        what = "names no dtype" if named is None else f"is of the dtype {named[1]}"
        hint = f"a log of mamf-finder, benchmark version 2, in one of: {', '.join(_FORMATS)}"
        raise UsageError(what, where=str(file), hint=hint)
    scheme = choice(_FORMATS[named[1]])
    rows = [_row(match, Case.linear(scheme, int(match["m"]), int(match["n"]), int(match["k"])))
            for match in _ROW.finditer(text) if float(match["median"]) > 0]  # fmt: skip
    if not rows:
        raise UsageError("holds no rows", where=str(file), hint="a log of mamf-finder, benchmark version 2")
    if not all(SHORTEST_NS <= row.seconds * 1e9 <= LONGEST_NS for row in rows):
        raise UsageError("has a rate that no machine reaches", where=str(file))
    best = max(rows, key=lambda row: row.case.flops / row.seconds)
    return Log(rows, _ceiling(best))


def _row(match: re.Match[str], case: Case) -> Row:
    """The median of its repetitions; the operands are the same every time."""
    return Row(
        case=case,
        kernel="mamf-finder/torch",
        seconds=case.flops / (float(match["median"]) * 1e12),
        copies=1,
        weight_bytes=case.weight_bytes,
        bytes_moved=case.bytes_moved,
        fill="normal",
        eager=True,
    )


def _ceiling(best: Row) -> Ceiling:
    case = best.case
    return Ceiling(
        device="cuda:0",
        quantity="matrix",
        name=case.compute.name,
        kernel="mamf-finder/torch",
        status="ok",
        flops=case.flops,
        shape=(case.m, case.n, case.k),
        timing=Timing(
            samples_ns=(best.seconds * 1e9,),
            calls_per_sample=1,
            cache="hot",
            method="cuda-events",
            stopped_by="max_samples",
            copies=1,
            rotated_bytes=0,
            spread=_SPREAD,
        ),
    )
