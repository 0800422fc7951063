"""Operations per clock and memories of one SM, by compute capability: compute.toml, read once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

import msgspec

from quantroof.files import parse_toml
from quantroof.hwprofiles.types import Unit

# e4m3 and e5m2 run at one rate on every unit so far, so data files write fp8.
_FP8 = ("fp8_e4m3", "fp8_e5m2")
# NVIDIA's compute capabilities that the table has no rates for (CUDA Programming Guide, appendix; PTX ISA).
_WITHOUT_RATES = ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.2", "8.8", "10.1", "10.7", "11.0")
_AMD = {(9, 4): "gfx942", (9, 5): "gfx950"}
Rates = dict[str, dict[str, int]]  # element -> accumulator -> dense operations per clock and SM


class ComputeCapability(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dense rates at full class (a multiply-add is 2 operations), sizes in KiB an SM, lanes of fp32.

    A gap means that there is no such unit, unless the table is not `complete`.
    """

    architecture: str
    lanes: int
    l1_kb: int
    shared_kb: int
    vector: Rates
    matrix: Rates = {}
    complete: bool = True

    def rates(self) -> Iterator[tuple[Unit, str, str, int]]:
        """(unit, element, accumulator, operations) of every rate, fp8 as its two element types."""
        units: tuple[tuple[Unit, Rates], ...] = (("vector", self.vector), ("matrix", self.matrix))
        for unit, table in units:
            for element, by_accumulator in table.items():
                for accumulator, operations in by_accumulator.items():
                    for name in expanded(element):
                        yield unit, name, accumulator, operations


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    compute: dict[str, ComputeCapability]


@lru_cache(maxsize=1)
def _file() -> _File:
    text = (files("quantroof.hwprofiles") / "compute.toml").read_text(encoding="utf-8")
    return parse_toml(text, _File, "compute.toml")


def capabilities() -> dict[str, ComputeCapability]:
    """Every compute capability with known rates, by its text (`9.0`)."""
    return _file().compute


def not_nvidia(capability: tuple[int, int]) -> str | None:
    """Why a capability cannot decide an architecture: NVIDIA gave it to no GPU that we know. None if it did.

    Newer ones than all that we know may be NVIDIA's next, and pass. AMD's gfx942 reads as 9.4, where a look
    at the major number alone sees Hopper.
    """
    text = "{}.{}".format(*capability)
    if text in capabilities() or text in _WITHOUT_RATES:
        return None
    if capability > max(tuple(map(int, known.split("."))) for known in capabilities()):
        return None
    reason = f"compute capability {text} is not an NVIDIA capability known to us"
    return f"{reason} (AMD's {_AMD[capability]} has it)" if capability in _AMD else reason


def source() -> str:
    """Where the rates come from."""
    return _file().source


def lanes_per_sm(capability: str) -> int | None:
    """fp32 lanes of one SM, None for an unlisted capability."""
    found = capabilities().get(capability)
    return None if found is None else found.lanes


def expanded(element: str) -> tuple[str, ...]:
    """The element types behind a name in a data file."""
    return _FP8 if element == "fp8" else (element,)


def limits(capability: str) -> dict[str, float]:
    """L1 and shared memory of one SM as a profile's fields; empty for an unlisted capability."""
    found = capabilities().get(capability)
    return {} if found is None else {"l1_kb": found.l1_kb, "shared_kb": found.shared_kb}
