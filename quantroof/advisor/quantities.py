"""Quantities as people write them: 50ms, 10M, 4k."""

from __future__ import annotations

import re

from quantroof.errors import UsageError

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
_LENGTHS = {"": 1.0, "k": 1024.0, "m": 1024.0**2}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z]*)\s*")


def seconds(text: str, option: str) -> float:
    """A positive time with its unit: 50ms, 0.2s, 800us."""
    return _read(text, option, _SECONDS, "a positive time like 50ms or 0.2s")


def milliseconds(text: str, option: str) -> float:
    """The seconds of a positive time; a bare number from 1 on counts milliseconds: 50, 50ms, 0.05s."""
    bare = _WRITTEN.fullmatch(text)
    if bare and not bare.group(2) and float(bare.group(1)) >= 1:
        return seconds(f"{bare.group(1)}ms", option)
    return seconds(text, option)


def count(text: str, option: str) -> float:
    """A positive number with an optional k, M or B."""
    return _read(text, option, _COUNTS, "a positive number like 500k, 10M or 1.5B")


def tokens(text: str, option: str) -> int:
    """A length in tokens, where k is 1024 as in the names of models: 4096, 8k, 128k."""
    wanted = "a positive length like 4096 or 8k"
    length = _read(text, option, _LENGTHS, wanted)
    if length != int(length):
        raise UsageError(f"'{text}' is not {wanted}: tokens are whole", where=option)
    return int(length)


def counts(text: str, option: str) -> tuple[int, ...]:
    """A list of whole numbers of at least 1: 1,2,4."""
    words = text.split(",")
    if not all(word.strip().isdigit() and int(word) >= 1 for word in words):
        raise UsageError(f"'{text}' is not a list of whole numbers like 1,2,4", where=option)
    return tuple(dict.fromkeys(int(word) for word in words))


def _read(text: str, option: str, units: dict[str, float], wanted: str) -> float:
    match = _WRITTEN.fullmatch(text)
    factor = units.get(match.group(2).lower()) if match else None
    value = float(match.group(1)) * factor if match and factor is not None else 0.0
    if value <= 0:
        raise UsageError(f"'{text}' is not {wanted}", where=option)
    return value
