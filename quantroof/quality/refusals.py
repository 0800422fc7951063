"""Errors of libraries about a user's files and a machine's memory, as one line each. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quantroof.errors import EnvironmentMissing, QuantroofError, UsageError


class OutOfMemory(EnvironmentMissing):
    """The device's memory does not hold what was asked for."""


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Turn torch's out-of-memory errors into OutOfMemory, which names what did not fit."""
    try:
        yield
    except RuntimeError as error:
        if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
            raise OutOfMemory(f"{what} does not fit into the device's memory") from None
        raise


@contextmanager
def accepting(what: str, where: Path) -> Iterator[None]:
    """Turn whatever a library raises over a user's file into one line: `what`, and the library's own words.

    It may be anything: a validation error of its own, a division by zero heads, a missing attribute. What
    already is one line passes, and a package that is missing is EnvironmentMissing.
    """
    try:
        yield
    except QuantroofError:
        raise
    except ImportError as error:
        raise EnvironmentMissing(refusal_text(error), where=str(where)) from None
    except Exception as error:  # noqa: BLE001 - see above
        raise UsageError(f"{what}: {refusal_text(error)}", where=str(where)) from None


def refusal_text(error: Exception) -> str:
    """The first line of a library's message, not longer than 300 characters; its type where it has none.

    One that ends in a colon says what is wrong in the next.
    """
    lines = [line.strip() for line in str(error).strip().splitlines()]
    if not lines:
        return type(error).__name__
    if "ignore_mismatched_sizes" in lines[0]:  # transformers prints what it found, and raises advice
        return "its tensors have other shapes than config.json says"
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])[:300]
