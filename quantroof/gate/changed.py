"""Cases that a change may affect: compares machine code, launches, sources and libraries of two revisions.

Needs no GPU. A kernel that declares its programs is compiled on both sides; only kernels that differ there,
or that could not be compared, are selected. So are the Triton kernels of a user's function, and its CUDA C++.
Any other function is compared by its source and its imports from the project.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import msgspec

from quantroof.bench.plan import make_plan
from quantroof.bench.suite import Suite
from quantroof.gate.fingerprints import Row, fingerprints
from quantroof.gate.sides import Side
from quantroof.kernels.sass.table import device_of
from quantroof.records.run import RunOptions


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """One case and kernel that a change may affect, and the differences: base -> now."""

    case: str
    kernel: str
    arch: str
    differs: tuple[str, ...]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The selected cases, how many there are in all, and what was compared."""

    selected: tuple[Selected, ...]
    planned: int
    base: str
    archs: tuple[str, ...]

    def lines(self) -> list[str]:
        """`case kernel`, each once: what `quantroof run --cases` takes."""
        return list(dict.fromkeys(f"{one.case} {one.kernel}" for one in self.selected))


def select(suite: Suite, archs: Sequence[str], base: Side, ours: Side, *, fresh: bool = False) -> Selection:
    """Compare both sides for every architecture; `fresh` ignores the cache.

    EnvironmentMissing where this side cannot be compiled.
    """
    selected: list[Selected] = []
    planned: set[tuple[str, str]] = set()
    for arch in archs:
        plan = make_plan(suite, device_of(arch), RunOptions(ceilings=False))
        pairs = [(one.case.id, kernel.name) for one in plan.cases for kernel in one.kernels]
        planned |= set(pairs)
        before, now = fingerprints(arch, pairs, base, ours, fresh=fresh)
        comparison = Comparison(base, ours)
        for case, kernel in pairs:
            key = f"{case} {kernel}"
            differs = comparison.differences(kernel, before.get(key), now.get(key))
            if differs:
                selected.append(Selected(case=case, kernel=kernel, arch=arch, differs=tuple(differs)))
    return Selection(selected=tuple(selected), planned=len(planned), base=base.name, archs=tuple(archs))


class Comparison:
    """Rows of two sides."""

    def __init__(self, base: Side, ours: Side) -> None:
        self._base, self._ours = base, ours

    def differences(self, kernel: str, before: Row | None, now: Row | None) -> list[str]:
        """The differences; a side that could not be compiled always differs."""
        if before is None or now is None:
            own = kernel in self._base.sources
            return ["not comparable: the base cannot be compiled"] if own else self._by_source(kernel)
        if "failed" in before or "failed" in now:
            side = "base" if "failed" in before else "now"
            return [f"not comparable: {side} fails, {before.get('failed') or now.get('failed')}"]
        if "absent" in before and "absent" not in now:
            return ["new"]
        if "untraced" in now or "operators" in now:
            return [*_of_function(before, now), *self._libraries()]
        if not now.get("launches") and not before.get("launches"):
            return self._by_source(kernel)
        return [*_by_code(before["launches"], now["launches"]), *self._libraries()]

    def _by_source(self, kernel: str) -> list[str]:
        before, now = self._base.sources.get(kernel), self._ours.sources.get(kernel)
        if before is None:
            return ["new"]
        return [*(["source"] if before != now else []), *self._libraries()]

    def _libraries(self) -> Iterator[str]:
        before, now = self._base.libraries, self._ours.libraries
        for name in dict.fromkeys((*before, *now)):
            if before.get(name) != now.get(name):
                yield f"{name} {before.get(name, 'absent')} -> {now.get(name, 'absent')}"


def _of_function(before: Row, now: Row) -> Iterator[str]:
    """A user's function: by its launches and operators where both sides have some, else by its source."""
    if before.get("launches") and now.get("launches"):
        yield from _by_code(before["launches"], now["launches"])
        if before["operators"] != now["operators"]:
            yield "operators of torch between the launches"
    elif before.get("host") != now.get("host") or before.get("launches") or now.get("launches"):
        reason = now.get("untraced") or before.get("untraced")
        yield f"source (not traced: {reason})" if reason else "source"
    old, new = ({one["name"]: one for one in row.get("native", ())} for row in (before, now))
    for name in sorted({*old, *new}):
        one, other = old.get(name, {}), new.get(name, {})
        if one.get("code") != other.get("code"):
            yield f"{name}: machine code"
            yield from _figures(one, other)
        elif one.get("text") != other.get("text"):
            yield f"{name}: source"


def _by_code(before: list[Row], now: list[Row]) -> Iterator[str]:
    if len(before) != len(now):
        yield f"launches {len(before)} -> {len(now)}"
        return
    for old, new in zip(before, now, strict=True):
        yield from _launch_differences(old, new)
        if old["code"] != new["code"]:
            yield "machine code"
            yield from _figures(old, new)


def _figures(old: Row, new: Row) -> Iterator[str]:
    before, now = old.get("figures", {}), new.get("figures", {})
    for name in now:
        if name in before and before[name] != now[name]:
            yield f"{name.replace('_', ' ')} {before[name]} -> {now[name]}"


def _launch_differences(old: Row, new: Row) -> Iterator[str]:
    before, after = ({**launch, **launch["constants"]} for launch in (old, new))
    for name in [*after, *(name for name in before if name not in after)]:
        if name not in ("code", "figures", "constants") and before.get(name) != after.get(name):
            yield f"{name} {_short(before.get(name))} -> {_short(after.get(name))}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
