"""What commands share when they parse: kinds of numbers and paths, and options as one typed struct."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec

from quantroof.bounds import LARGEST, MAX_PROCESSES, MAX_SEED

FILE = click.Path(path_type=Path)


class Whole(click.IntRange):
    """A whole number within a range, and no larger than any machine needs."""

    def __init__(self, least: int | None = None, *, largest: int = 10**9) -> None:
        super().__init__(least)
        self._largest = largest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, or click's usage error."""
        number = int(super().convert(value, param, ctx))
        if abs(number) > self._largest:
            self.fail(f"{value!r} is too large: at most {self._largest}.", param, ctx)
        return number

    def _describe_range(self) -> str:
        return "" if self.min is None else super()._describe_range()


class Finite(click.FloatRange):
    """A number within a range; NaN and infinity are refused. click's own ranges let NaN through, and a gate
    with a NaN as its threshold would pass."""

    name = "number"

    def __init__(
        self,
        least: float,
        most: float | None = None,
        *,
        largest: float = LARGEST,
        min_open: bool = False,
        max_open: bool = False,
    ) -> None:
        super().__init__(least, most, min_open=min_open, max_open=max_open)
        self._largest = largest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or click's usage error."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        if abs(number) > self._largest:
            self.fail(f"{value!r} is too large: at most {self._largest:g}.", param, ctx)
        return number


COUNT = Whole(1)
PROCESSES = Whole(1, largest=MAX_PROCESSES)
SEED = Whole(largest=MAX_SEED)
SHARE = Finite(0, 1, min_open=True)
OPEN_SHARE = Finite(0, 1, min_open=True, max_open=True)
POSITIVE = Finite(0, min_open=True)
NOT_NEGATIVE = Finite(0)


def with_options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add several click options to a command, in the order given."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def as_struct(kind: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Hand a command those of its parameters that are fields of `kind` as one `kind`, its first argument.

    Of several, the one next to the function is the first.

    `kind` is a dataclass or a msgspec Struct whose fields have the names of the click parameters.
    """
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else msgspec.structs.fields(kind)
    names = {field.name for field in fields}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*others: Any, **parameters: Any) -> Any:
            options = kind(**{name: parameters.pop(name) for name in names})
            return function(options, *others, **parameters)

        return call

    return decorate


def absolute(kernel: str) -> str:
    """A kernel `path.py:NAME` with its path made absolute: a worker and --resume may start elsewhere."""
    path, colon, name = kernel.rpartition(":")
    return f"{Path(path).resolve()}{colon}{name}" if path else kernel


def _none_if_empty(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> Any:
    return value or None


def _absolute(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(absolute, value))


case_options = with_options(
    click.option("--format", "formats", multiple=True, callback=_none_if_empty,
                 help="Only these formats, such as bf16 or int4-w4a16."),
    click.option("--provider", "providers", multiple=True, callback=_none_if_empty,
                 help="Only kernels of these providers; with --kernel, these beside it."),
    click.option("--kernel", "kernels", multiple=True, callback=_absolute,
                 help="Only this kernel of your own, as PATH.py:NAME."),
)  # fmt: skip
"""What is measured, for every command that runs a suite: named like the fields of its options struct."""
