"""What can go wrong for a user: one line (what, where, what to do) and an exit code."""

from __future__ import annotations

import re
from enum import IntEnum

_NEAR = 6  # names that a hint shows at most
_WORD, _TEXT = 300, 2000  # characters: longer words and texts are values of a file and not ours
_KEPT = 60
_ALL = 24  # of a longer list the nearest few names are shown
_NEAREST = 5
_LISTED = 200  # beyond this, as of torch's functions, nothing far away helps


class ExitCode(IntEnum):
    """Exit codes of every command. A defect is never 1: a crash of the gate is not a regression."""

    OK = 0
    FINDING = 1
    USAGE = 2
    ENVIRONMENT = 3
    UNDECIDED = 4
    DEFECT = 70
    INTERRUPTED = 130
    READER_LEFT = 141


def first_line(error: BaseException) -> str:
    """The one line of an error's text that names the fault, or its type if the text is empty.

    That is the first line, except for Triton's compiler errors: they begin with a position and end with the
    fault. After the errors of ptxas comes the command that reproduces them.
    """
    lines = [line.strip() for line in _text_of(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "PTXASError" in kinds:
        return [line for line in lines if "error" in line.lower() and "Repro command" not in line][-1]
    return lines[-1] if "CompilationError" in kinds else lines[0]


def _text_of(error: BaseException) -> str:
    """An error's text as UTF-8 can hold it; empty where the error of foreign code cannot even be printed."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - its `__str__` may raise anything
        return ""


def described(error: BaseException) -> str:
    """The type of an error and the line of its text that names the fault."""
    name, text = type(error).__name__, first_line(error)
    return name if text == name else f"{name}: {text}"


def shortened(text: str) -> str:
    """Text of a length that a person reads: very long words and texts are cut, with their length."""
    text = re.sub(rf"\S{{{_WORD},}}", lambda word: _cut(word.group()), text)
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}... ({len(text)} characters)"


def _cut(word: str) -> str:
    return f"{word[:_KEPT]}... ({len(word)} characters)"


class QuantroofError(Exception):
    """An error a user can act on; its text is one line, and no traceback is shown for it."""

    exit_code: ExitCode = ExitCode.FINDING

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what, self.where, self.hint = what, where, hint
        text = f"{where}: {what}" if where else what
        super().__init__(shortened(f"{text} ({hint})" if hint else text))


class UsageError(QuantroofError):
    """The request itself is wrong: an unknown name, a bad file, a value out of range."""

    exit_code = ExitCode.USAGE


class EnvironmentMissing(QuantroofError):
    """This machine lacks what the request needs: a driver, a GPU, an extra, a writable disk."""

    exit_code = ExitCode.ENVIRONMENT


def unknown_name(
    kind: str, name: str, allowed: list[str], where: str | None = None, *, listing: str | None = None
) -> UsageError:
    """Build the error for a name that is not in a list: names that contain it, else the nearest, else all.

    Of a long list without a near name the five nearest are shown, and `listing`, the command that prints all.
    """
    from difflib import get_close_matches

    query = name[:_WORD].casefold()
    near = [other for other in allowed if query and query in other.casefold()]
    if not near:
        folded = {other.casefold(): other for other in allowed}
        near = [folded[close] for close in get_close_matches(query, list(folded), n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near[:_NEAR])}?" if near else None
    if hint is None and len(allowed) <= _ALL:
        hint = f"one of: {', '.join(sorted(allowed))}"
    elif hint is None and len(allowed) <= _LISTED:
        nearest = get_close_matches(query, sorted(allowed), n=_NEAREST, cutoff=0.0)
        hint = f"the nearest of {len(allowed)}: {', '.join(nearest)}"
    if hint is not None and listing is not None:
        hint += f"{' ' if hint.endswith('?') else '; '}`{listing}` lists all"
    return UsageError(f"unknown {kind} '{name}'", where=where, hint=hint)
