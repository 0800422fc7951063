"""A Finding is what a check found; every room, from hardware checks to the gate, uses this type."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "note", "warning", "degraded", "failed", "unknown"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that a check found.

    `code` is stable and for programs; `text` is a sentence with the number; `hint` says what to do about it.
    """

    level: Level
    code: str
    text: str
    hint: str | None = None
