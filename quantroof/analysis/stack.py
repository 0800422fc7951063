"""Whether the installed compiler uses what a GPU's matrix units can do, format by format.

The silicon's side is the table of native formats, the compiler's side the machine code of plain products.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import msgspec

from quantroof.finding import Finding
from quantroof.hwprofiles import native
from quantroof.kernels.stack.cell import StackCell
from quantroof.kernels.stack.probes import BY_NAME, Family, silicon_multiplies

StackSupport = Literal["native", "partly native", "emulated", "fails"]
_RANK: dict[StackSupport, int] = {"native": 3, "partly native": 2, "emulated": 1, "fails": 0}


class StackVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One format on one architecture. `silicon` is None for W4A16, which no matrix unit multiplies as it is.

    `runs_as` lists what emulated tiles multiply with instead. `cured_in` is the first version of a shipped
    table that does better, and `cured_to` how well it does. `spills` counts the loads and stores of spilled
    registers in the worst tile.
    """

    arch: str
    format: str
    silicon: bool | None
    support: StackSupport
    native_tiles: tuple[str, ...]
    emulated_tiles: tuple[str, ...]
    runs_as: tuple[Family, ...]
    opcodes: tuple[str, ...]
    spills: int
    error: str | None
    cured_in: str | None = None
    cured_to: StackSupport | None = None

    @property
    def below_silicon(self) -> bool:
        """True where the matrix units multiply a format and no tile of the compiler uses them."""
        return self.silicon is True and self.support in ("emulated", "fails")


@dataclass(frozen=True, slots=True)
class Tables:
    """Cells of the installed version, and those of other versions, oldest first."""

    version: str
    cells: Sequence[StackCell]
    others: Sequence[tuple[str, Sequence[StackCell]]] = ()


def stack_verdicts(tables: Tables) -> list[StackVerdict]:
    """A verdict per architecture and format, in the order of the cells."""
    newer = [(v, _grouped(cells)) for v, cells in tables.others if _number(v) > _number(tables.version)]
    verdicts = []
    for key, cells in _grouped(tables.cells).items():
        verdict = _verdict(key, cells)
        for newer_version, table in newer:
            if key in table and _better(cure := _verdict(key, table[key]), verdict):
                verdict = msgspec.structs.replace(verdict, cured_in=newer_version, cured_to=cure.support)
                break
        verdicts.append(verdict)
    return verdicts


def stack_findings(verdicts: Iterable[StackVerdict], version: str) -> list[Finding]:
    """One finding per format that does not run as the silicon could, worst first."""
    findings = [finding for verdict in verdicts for finding in _findings(verdict, version)]
    return sorted(findings, key=lambda finding: finding.level != "warning")


def _grouped(cells: Iterable[StackCell]) -> dict[tuple[str, str], list[StackCell]]:
    groups = groupby(cells, key=lambda cell: (cell.arch, cell.format))
    return {key: list(group) for key, group in groups if key[1] in BY_NAME}


def _number(version: str) -> tuple[int, ...]:
    """`3.9.0` or `3.9.0+git1` as numbers."""
    return tuple(int(part) for part in version.partition("+")[0].split(".") if part.isdigit())


def _better(one: StackVerdict, other: StackVerdict) -> bool:
    same = _RANK[one.support] == _RANK[other.support]
    return (
        len(one.native_tiles) > len(other.native_tiles) if same else _RANK[one.support] > _RANK[other.support]
    )


def _verdict(key: tuple[str, str], cells: Sequence[StackCell]) -> StackVerdict:
    arch, name = key
    item = BY_NAME[name]
    silicon = None if item.element is None else silicon_multiplies(item, arch)
    natives = [cell for cell in cells if silicon and cell.family == item.family]
    built = [cell for cell in cells if cell.error is None]
    emulated = [cell for cell in built if cell not in natives]
    return StackVerdict(
        arch=arch,
        format=name,
        silicon=silicon,
        support=_support(natives, built, cells),
        native_tiles=tuple(cell.tile for cell in natives),
        emulated_tiles=tuple(cell.tile for cell in emulated),
        runs_as=tuple(dict.fromkeys(cell.family for cell in emulated if cell.family is not None)),
        opcodes=tuple(dict.fromkeys(cell.opcode for cell in built if cell.opcode is not None)),
        spills=max((cell.spills for cell in built), default=0),
        error=next((cell.error for cell in cells if cell.error is not None), None),
    )


def _support(
    natives: Sequence[StackCell], built: Sequence[StackCell], cells: Sequence[StackCell]
) -> StackSupport:
    if natives:
        return "native" if len(natives) == len(cells) else "partly native"
    return "emulated" if built else "fails"


def _findings(verdict: StackVerdict, version: str) -> list[Finding]:
    name = f"{verdict.arch} {verdict.format}"
    findings = []
    if verdict.below_silicon:
        findings.append(_unused(verdict, name, version))
    elif verdict.silicon and verdict.support == "partly native":
        findings.append(_partly(verdict, name))
    elif verdict.silicon is None and verdict.support == "fails":
        hint = _cure(verdict)
        findings.append(
            Finding("warning", "stack_fails", f"{name}: does not compile ({verdict.error})", hint)
        )
    item = BY_NAME[verdict.format]
    if item.element is not None and native.only_on_the_older_path(item.element, verdict.arch):
        text = f"{name}: only mma.sync multiplies it there; tcgen05, the fast path, does not have this format"
        findings.append(Finding("note", "stack_older_path", text))
    return findings


def _unused(verdict: StackVerdict, name: str, version: str) -> Finding:
    if verdict.support == "fails":
        text = f"{name}: the silicon multiplies it, triton {version} does not compile it ({verdict.error})"
    else:
        rate = " and ".join(verdict.runs_as) or "vector code"
        opcodes = ", ".join(verdict.opcodes)
        text = (
            f"{name}: the silicon multiplies it, triton {version} runs it as {rate} ({opcodes}), at that rate"
        )
    return Finding("warning", "stack_below_silicon", text, _cure(verdict))


def _partly(verdict: StackVerdict, name: str) -> Finding:
    others = verdict.emulated_tiles
    rest = f"{', '.join(others)} run as {' and '.join(verdict.runs_as)}" if others else f"{verdict.error}"
    text = f"{name}: native in tiles of {', '.join(verdict.native_tiles)} only; {rest}"
    turned = any("weights as rows" in tile for tile in verdict.native_tiles)
    hint = (
        "for few rows, compute the transposed product with the weights as rows" if turned else _cure(verdict)
    )
    return Finding("note", "stack_partly_native", text, hint)


def _cure(verdict: StackVerdict) -> str | None:
    if verdict.cured_in is None:
        return None
    word = "better" if verdict.cured_to == verdict.support else verdict.cured_to
    return f"{word} from triton {verdict.cured_in}"
