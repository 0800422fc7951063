"""One imported kernel time, whatever it was read from."""

from __future__ import annotations

import msgspec

from quantroof.kernels.cases import Case


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel time with the case it belongs to and how many weight sets were used in turn."""

    case: Case
    kernel: str
    seconds: float
    copies: int
    weight_bytes: int
    bytes_moved: int
    fill: str
    eager: bool = False
    flushed: bool = False
    """Whether the tool empties the last-level cache before each sample."""
