"""Calls as TOML: `[[call]]` tables for a suite that is made of options, or of suspects of a gate."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec

from quantroof.kernels.calls.call import Call


def tables(calls: Iterable[Call]) -> list[str]:
    """The lines of one table per call; what is at its default is left out."""
    lines = []
    for call in calls:
        lines += ["", "[[call]]"]
        default = Call(function="", name="")
        for name, value in msgspec.structs.asdict(call).items():
            if value != getattr(default, name):
                plain = list(value) if isinstance(value, tuple) else value
                lines.append(f"{name} = {json.dumps(plain, ensure_ascii=False)}")
    return lines
