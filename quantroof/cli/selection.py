"""Options that name what is run without a suite file: cases, shapes, models and batches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from quantroof.cli.options import FILE, with_options
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.bench.selection import Selected

_SHAPE = re.compile(r"(?:(\d+)x)?(\d+)x(\d+)")


class SelectionFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The options as they were parsed; their names are those of the click parameters."""

    case_ids: tuple[str, ...]
    case_lists: tuple[Path, ...]
    shape: tuple[tuple[int | None, int, int], ...]
    model: tuple[str, ...]
    m: tuple[tuple[int, ...], ...]


class Shape(click.ParamType[tuple[int | None, int, int]]):
    """`16x4096x4096` as M, N and K, or `4096x4096` as N and K."""

    name = "MxNxK"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int | None, int, int]:
        """(M or None, N, K), or click's usage error."""
        match = _SHAPE.fullmatch(str(value))
        sizes = [] if match is None else [None if text is None else int(text) for text in match.groups()]
        if not sizes or 0 in sizes:
            self.fail(f"{value!r} is not a shape: MxNxK or NxK, such as 16x4096x4096.", param, ctx)
        m, n, k = sizes
        assert n is not None
        assert k is not None
        return m, n, k


class Numbers(click.ParamType[tuple[int, ...]]):
    """`1,16,256` as positive integers."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """The numbers, or click's usage error."""
        texts = str(value).split(",")
        if not all(re.fullmatch(r"[1-9]\d{0,8}", text) for text in texts):
            self.fail(f"{value!r} is not a list of positive numbers such as 1,16.", param, ctx)
        return tuple(map(int, texts))


selection_options = with_options(
    click.option("--case", "case_ids", multiple=True, metavar="ID", help="One case by its id."),
    click.option("--cases", "case_lists", multiple=True, type=FILE, help="A file: `case [kernel]` lines."),
    click.option("--shape", multiple=True, type=Shape(), help="A layer, as NxK, or as MxNxK with its batch."),
    click.option("--model", multiple=True, metavar="NAME", help="The linear layers of a model."),
    click.option("--m", multiple=True, type=Numbers(), help="Batches, such as 1,16."),
)  # fmt: skip
"""What is run in place of the suite's own cases: named like the fields of SelectionFlags."""


def selected_suite(flags: SelectionFlags, suite: str, formats: tuple[str, ...] | None) -> Selected:
    """The suite by name, with what the options select in place of its cases."""
    from quantroof.bench.selection import Selection, select_cases
    from quantroof.bench.suite import load

    for text in flags.case_ids:
        _check_id(text, "--case")
    lines = [line for path in flags.case_lists for line in case_list(path)]
    listed = tuple(line.partition(" ")[0] for line in lines)
    selection = Selection(
        cases=tuple(dict.fromkeys((*flags.case_ids, *listed))),
        shapes=flags.shape,
        layers=tuple(layer for name in flags.model for layer in _layers(name)),
        batches=tuple(dict.fromkeys(m for group in flags.m for m in group)),
        only=tuple(line for line in lines if " " in line),
    )
    return select_cases(load(suite), selection, formats)


def case_list(path: Path) -> list[str]:
    """`case` or `case kernel` of each line; `#` starts a comment. UsageError where there is none."""
    from quantroof.files import read_text

    cases = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            _check_id(words[0], f"{path}, line {number}")
            cases.append(" ".join(words[:2]))
    if not cases:
        raise UsageError("names no case", where=str(path), hint="one case id per line")
    return cases


def _check_id(text: str, where: str) -> None:
    from quantroof.kernels.cases import Case

    try:
        Case.parse(text)
    except UsageError as error:
        raise UsageError(error.what, where=where, hint=error.hint) from None


def _layers(name: str) -> list[tuple[int, int]]:
    """(N, K) of the layers that a quantized checkpoint of a model stores in its format, each once."""
    from quantroof.advisor.layers import linear_layers
    from quantroof.advisor.model_lookup import model

    layers = (layer for layer in linear_layers(model(name)) if layer.quantized)
    return list(dict.fromkeys((layer.n, layer.k) for layer in layers))
