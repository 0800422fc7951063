"""How a function is measured, declared where it is written: `@bench(args=["x: bf16[M]"], axes=["M=64"])`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def bench(**fields: Any) -> Callable[[F], F]:
    """Store the fields of a `[[call]]` table with a function or class; `quantroof bench FILE.py` reads them.

    `reference` and `against` may name functions of the same file.
    """

    def declare(function: F) -> F:
        function.__quantroof_call__ = fields  # type: ignore[attr-defined]
        return function

    return declare
