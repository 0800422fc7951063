"""Tilings found by tuning, looked up by device, case and kernel source. Imports no torch.

Order of precedence: the tiling that a tuner is trying at the moment, the user's cache, the shipped table of
the package, the formula of the kernel. A tiling timed with other device code than today's is not used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

import msgspec

from quantroof.errors import UsageError
from quantroof.files import MALFORMED, malformed
from quantroof.kernels.cases import Case
from quantroof.kernels.linear.tiling import Tiling
from quantroof.kernels.program import Target

_KERNELS = Path(__file__).parents[1]
SHIPPED = Path(__file__).parent / "tuned.json"
_trying: ContextVar[Tiling | None] = ContextVar("trying", default=None)
_formula_only: ContextVar[bool] = ContextVar("formula_only", default=False)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The best tiling of a kernel for a case on a device, and its cold median time in ns."""

    device: str
    source: str
    kernel: str
    case: str
    tiling: Tiling
    median_ns: float


def choose(kernel: str, case: Case, target: Target, formula: Callable[[Case, Target], Tiling]) -> Tiling:
    """The tiling to use, by the precedence above."""
    if (tried := _trying.get()) is not None:
        return tried
    if target.device is not None and not _formula_only.get():
        found = _known().get((target.device, kernel, bucket(case)))
        if found is not None:
            return found
    return formula(case, target)


@contextmanager
def trying(tiling: Tiling) -> Iterator[None]:
    """Use this tiling for whatever is built inside."""
    token = _trying.set(tiling)
    try:
        yield
    finally:
        _trying.reset(token)


@contextmanager
def by_formula() -> Iterator[None]:
    """Ignore timed tilings in whatever is built inside: they are compared with the formula."""
    token = _formula_only.set(True)
    try:
        yield
    finally:
        _formula_only.reset(token)


def bucket(case: Case) -> str:
    """The case's formats and shape with M rounded up to a power of two: 5 to 8 rows are one tuning."""
    rows = 1 << (case.m - 1).bit_length()
    return f"{case.weight}-{case.activation}-{case.output}/m{rows}-n{case.n}-k{case.k}"


@lru_cache(maxsize=1)
def source_hash() -> str:
    """A digest of all device code: any change of it makes timed tilings stale."""
    digest = hashlib.sha256()
    for path in sorted(_KERNELS.rglob("device/*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def cache_file() -> Path:
    """The user's cache, by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "quantroof" / "tuned.json"


def read_entries(path: Path) -> list[Entry]:
    """Entries of a table; none where there is no file. UsageError if it is not such a table."""
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Entry])
    except MALFORMED as error:
        raise UsageError(
            f"not a table of tilings: {malformed(error)}", where=str(path), hint="delete it"
        ) from None


def remember(entries: Iterable[Entry], path: Path) -> None:
    """Add entries to a table, in place of older ones for the same device, kernel and case."""
    merged = {(e.device, e.kernel, e.case): e for e in (*read_entries(path), *entries)}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(
        msgspec.json.format(msgspec.json.encode([merged[key] for key in sorted(merged)]), indent=1)
    )
    part.replace(path)
    _known.cache_clear()


@lru_cache(maxsize=1)
def _known() -> dict[tuple[str, str, str], Tiling]:
    entries = (*read_entries(SHIPPED), *read_entries(cache_file()))
    return {(e.device, e.kernel, e.case): e.tiling for e in entries if e.source == source_hash()}
