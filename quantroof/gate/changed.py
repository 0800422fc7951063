"""Which cases a change concerns: machine code, launches, sources and libraries of two revisions compared.

Needs no GPU. A kernel that declares its programs is compiled on both sides; only what differs there, or what
could not be compared, is selected. Of any other function the source counts, with what it imports of its
project.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from quantroof.bench.plan import make_plan
from quantroof.bench.suite import Suite
from quantroof.errors import EnvironmentMissing
from quantroof.gate import fingerprint_process
from quantroof.gate.sides import Side
from quantroof.kernels.sass.batch import code_digest, read_cubins
from quantroof.kernels.sass.table import device_of
from quantroof.records.run import RunOptions

Row = dict[str, Any]
Rows = dict[str, Row]
_SHOWN = ("instructions", "registers", "spill_instructions", "instruction_class")


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """One case and kernel that a change concerns, and what differs: base -> now."""

    case: str
    kernel: str
    arch: str
    differs: tuple[str, ...]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured, of how many, and what was compared."""

    selected: tuple[Selected, ...]
    planned: int
    base: str
    archs: tuple[str, ...]

    def lines(self) -> list[str]:
        """`case kernel`, each once: what `quantroof run --cases` takes."""
        return list(dict.fromkeys(f"{one.case} {one.kernel}" for one in self.selected))


def select(suite: Suite, archs: Sequence[str], base: Side, ours: Side) -> Selection:
    """Compare both sides for every architecture. EnvironmentMissing where this side cannot be compiled."""
    selected: list[Selected] = []
    planned: set[tuple[str, str]] = set()
    for arch in archs:
        plan = make_plan(suite, device_of(arch), RunOptions(ceilings=False))
        pairs = [(one.case.id, kernel.name) for one in plan.cases for kernel in one.kernels]
        planned |= set(pairs)
        with TemporaryDirectory(prefix="quantroof-select-") as name:
            folder = Path(name)
            rows = _compiled(arch, pairs, {"base": base, "ours": ours}, folder)
            comparison = Comparison(arch, folder, base, ours)
            for case, kernel in pairs:
                key = f"{case} {kernel}"
                differs = comparison.differences(kernel, rows["base"].get(key), rows["ours"].get(key))
                if differs:
                    selected.append(Selected(case=case, kernel=kernel, arch=arch, differs=tuple(differs)))
    return Selection(selected=tuple(selected), planned=len(planned), base=base.name, archs=tuple(archs))


def _compiled(
    arch: str, pairs: list[tuple[str, str]], sides: dict[str, Side], folder: Path
) -> dict[str, Rows]:
    """The rows of both sides, which are compiled at the same time; a base that fails has none."""
    running = {}
    for name, side in sides.items():
        (folder / name).mkdir()
        request = {"arch": arch, "pairs": pairs, "out": str(folder / name)}
        process = subprocess.Popen(
            [side.python, "-P", str(Path(fingerprint_process.__file__).resolve())],
            cwd=side.root,
            env=side.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running[name] = process, json.dumps(request)
    rows: dict[str, Rows] = {}
    for name, (process, text) in running.items():
        answer, errors = process.communicate(text)
        if process.returncode == 0:
            rows[name] = json.loads(answer)
        elif name == "base":
            rows[name] = {}
        else:
            last = errors.strip().splitlines()[-1:] or ["no message"]
            raise EnvironmentMissing(f"its kernels cannot be compiled: {last[0]}", where=sides[name].name)
    return rows


class Comparison:
    """Rows of two sides, and the files of their machine code."""

    def __init__(self, arch: str, folder: Path, base: Side, ours: Side) -> None:
        self._arch, self._folder, self._base, self._ours = arch, folder, base, ours

    def differences(self, kernel: str, before: Row | None, now: Row | None) -> list[str]:
        """What differs; a side that could not be compiled differs always."""
        if before is None or now is None:
            own = kernel in self._base.sources
            return ["not comparable: the base cannot be compiled"] if own else self._by_source(kernel)
        if "failed" in before or "failed" in now:
            side = "base" if "failed" in before else "now"
            return [f"not comparable: {side} fails, {before.get('failed') or now.get('failed')}"]
        if "absent" in before and "absent" not in now:
            return ["new"]
        if not now.get("launches") and not before.get("launches"):
            return self._by_source(kernel)
        return list(self._by_code(before["launches"], now["launches"]))

    def _by_source(self, kernel: str) -> list[str]:
        before, now = self._base.sources.get(kernel), self._ours.sources.get(kernel)
        if before is None:
            return ["new"]
        differs = ["source"] if before != now else []
        if self._base.libraries != self._ours.libraries:
            differs += ["libraries"]
        return differs

    def _by_code(self, before: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[str]:
        if len(before) != len(now):
            yield f"launches {len(before)} -> {len(now)}"
            return
        for old, new in zip(before, now, strict=True):
            yield from _launch_differences(old, new)
            codes = [self._code(side, one["file"]) for side, one in (("base", old), ("ours", new))]
            if code_digest(codes[0]) != code_digest(codes[1]):
                yield from self._figures(codes)

    def _figures(self, codes: list[bytes]) -> Iterator[str]:
        yield "machine code"
        try:
            base, ours = (report[0] for report in read_cubins(codes, self._arch))
        except Exception:  # noqa: BLE001 - without a disassembler the difference stands without its figures
            return
        for name in _SHOWN:
            old, new = getattr(base, name), getattr(ours, name)
            if old != new:
                yield f"{name.replace('_', ' ')} {old} -> {new}"

    def _code(self, side: str, file: str) -> bytes:
        return (self._folder / side / file).read_bytes()


def _launch_differences(old: Row, new: Row) -> Iterator[str]:
    before, after = ({**launch, **launch["constants"]} for launch in (old, new))
    for name in [*after, *(name for name in before if name not in after)]:
        if name not in ("file", "constants") and before.get(name) != after.get(name):
            yield f"{name} {_short(before.get(name))} -> {_short(after.get(name))}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
