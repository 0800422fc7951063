"""What the installed compiler makes of each format: tables, and one sentence per finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from quantroof.reports.text.table import table, titled

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from quantroof.analysis.compiler import Compiler
    from quantroof.analysis.stack import StackVerdict
    from quantroof.finding import Finding

_SILICON = {True: "yes", False: "no", None: "no unit has it"}


def stack_tables(verdicts: Sequence[StackVerdict], names: dict[str, str]) -> list[Group]:
    """One table per architecture; `names` gives the GPU that an architecture was asked for."""
    headings = ("format", "silicon", "compiled", "instruction", "native tiles", "spills")
    tables = []
    for arch, group in groupby(verdicts, key=lambda verdict: verdict.arch):
        title = f"{names[arch]} ({arch})" if arch in names else arch
        rows = [_cells(verdict) for verdict in group]
        tables.append(titled(title, table(headings, rows, right=("spills",))))
    return tables


def stack_matrix(verdicts: Sequence[StackVerdict]) -> Table:
    """Formats x architectures, for the whole table at once."""
    archs = list(dict.fromkeys(verdict.arch for verdict in verdicts))
    by_key = {(verdict.format, verdict.arch): verdict for verdict in verdicts}
    formats = list(dict.fromkeys(verdict.format for verdict in verdicts))
    rows = [(name, *(_short(by_key[name, arch]) for arch in archs)) for name in formats]
    return table(("format", *archs), rows)


def compiler_lines(compiler: Compiler, schemes: Iterable[str]) -> list[str]:
    """A line per format that the silicon multiplies and the compiler of a run does not in every tile."""
    return [f"{verdict.format}: {compiler_words(compiler, verdict)}" for verdict in compiler.unused(schemes)]


def compiler_words(compiler: Compiler, verdict: StackVerdict) -> str:
    """`emulated as 16-bit by your triton 3.7.1: native from 3.9.0`."""
    triton = f"your triton {compiler.version}"
    words = {
        "native": f"native with {triton}",
        "partly native": f"native in tiles of {', '.join(verdict.native_tiles)} only with {triton}",
        "emulated": f"{_words(verdict)} by {triton}",
        "fails": f"does not compile with {triton}",
    }[verdict.support]
    if verdict.silicon is False:
        return f"{words}: the GPU has no unit for it"
    if verdict.cured_in is None:
        return words
    better = "more tiles" if verdict.cured_to == verdict.support else verdict.cured_to
    return f"{words}: {better} from {verdict.cured_in}"


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """A line per finding, with what to do about it."""
    return [
        f"{finding.level}: {finding.text}{f'; {finding.hint}' if finding.hint else ''}"
        for finding in findings
    ]


def _cells(verdict: StackVerdict) -> tuple[str, ...]:
    silicon = _SILICON[verdict.silicon]
    tiles = "all" if verdict.support == "native" else ", ".join(verdict.native_tiles)
    opcodes = ", ".join(verdict.opcodes) or verdict.error or ""
    return (verdict.format, silicon, _words(verdict), opcodes, tiles, str(verdict.spills or ""))


def _words(verdict: StackVerdict) -> str:
    if verdict.support == "emulated":
        return f"emulated as {' and '.join(verdict.runs_as) or 'vector code'}"
    return verdict.support


def _short(verdict: StackVerdict) -> str:
    if verdict.support == "emulated":
        return f"as {'/'.join(verdict.runs_as) or 'vector'}"
    return "partly" if verdict.support == "partly native" else verdict.support
