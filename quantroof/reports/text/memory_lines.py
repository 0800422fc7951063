"""The bytes of a model as tables: by format, as stored, as loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantroof.reports.text.table import table, titled
from quantroof.units import NONE

if TYPE_CHECKING:
    from rich.console import Group

_DOES_NOT_DIVIDE = "a group does not divide a layer"


def both_units(size: float) -> str:
    """Bytes in GB (10^9) and GiB (2^30), both labeled: they differ by 7 %. Small ones in MB and MiB."""
    if size < 1e8:
        return f"{size / 1e6:.3f} MB = {size / 2**20:.3f} MiB"
    return f"{size / 1e9:.3f} GB = {size / 2**30:.3f} GiB"


def parameters_line(model: Path, data: dict[str, Any]) -> str:
    """How many parameters the model has."""
    total, linear = data["logical_parameters"], data["in_linear_layers"]
    return f"{model}: {total:,} logical parameters, {linear:,} of them in linear layers that quantize"


def memory_tables(data: dict[str, Any]) -> Iterator[Group]:
    """The account of `quality memory`, table by table."""
    title = "linear layers stored in this format, the rest in 16 bits"
    yield _sizes(title, ("format", "size", "bytes"), data["formats_bytes"], _DOES_NOT_DIVIDE)
    if stored := data["stored"]:
        head = f"stored in {stored['files']} files, {stored['file_bytes']:,} bytes on disk"
        for name in ("by_role", "by_dtype", "by_layer"):
            yield _sizes(f"{head}, {name.replace('_', ' ')}", ("", "size", "bytes"), stored[name], NONE)
    if loaded := data.get("loaded"):
        yield _sizes("loaded", ("", "size", "bytes"), loaded, NONE)


def _sizes(title: str, headings: tuple[str, ...], sizes: dict[str, int | None], absent: str) -> Group:
    rows = [
        (name, absent, NONE) if size is None else (name, both_units(size), f"{size:,}")
        for name, size in sizes.items()
    ]
    return titled(title, table(headings, rows, right=headings[1:]))
