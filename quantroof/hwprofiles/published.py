"""Ceilings of GPUs that others published: what their bandwidths and matrix units were seen to reach."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

import msgspec

from quantroof.hwprofiles.types import HardwareProfile

READ = "dram_read_gemv"
# Below this share of the lowest collection of a GPU, a read is slower than any healthy board was seen.
HEALTHY_SHARE = 0.95
# A peak of which nobody was seen to reach this share says little about what to expect.
REACHED_SHARE = 0.7
_MATRIX = "matrix "
_ELEMENTS = {"fp8": "fp8_e4m3"}


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """One published figure, in GB/s or TFLOP/s, with what it is and where it comes from."""

    profile: str
    quantity: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None
    collections: int = 1
    statistic: str
    fill: str
    mode: str
    cache: str
    source: str
    license: str

    @property
    def element(self) -> str | None:
        """The element type of a matrix rate, as profiles name it; None for a bandwidth."""
        if not self.quantity.startswith(_MATRIX):
            return None
        name = self.quantity.removeprefix(_MATRIX).split()[0]
        return _ELEMENTS.get(name, name)

    @property
    def best(self) -> float:
        """The highest value of all collections."""
        return self.value if self.high is None else max(self.value, self.high)


@lru_cache(maxsize=1)
def shipped() -> tuple[Ceiling, ...]:
    """Every published figure of the package."""
    text = (files("quantroof") / "hwprofiles" / "published_ceilings.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        msgspec.convert({key: value for key, value in row.items() if value}, Ceiling, strict=False)
        for row in rows
    )


def of_profile(profile_id: str) -> tuple[Ceiling, ...]:
    """The figures of one GPU."""
    return tuple(ceiling for ceiling in shipped() if ceiling.profile == profile_id)


def best_seen(profile_id: str) -> dict[str, Ceiling]:
    """The highest figure of each element type, and of memory under `DRAM`."""
    best: dict[str, Ceiling] = {}
    for ceiling in of_profile(profile_id):
        name = ceiling.element or "DRAM"
        if name not in best or ceiling.best > best[name].best:
            best[name] = ceiling
    return best


def out_of_reach(share: float | None) -> bool:
    """Whether the best that anybody published is so far below a peak that the peak says little."""
    return share is not None and share < REACHED_SHARE


def lowest_read(profile_id: str) -> float | None:
    """The lowest collection of cold reads of a GPU in bytes per second; None without one."""
    lows = [c.low or c.value for c in of_profile(profile_id) if c.quantity == READ]
    return min(lows) * 1e9 if lows else None


def read_floor(profile: HardwareProfile) -> float | None:
    """The least share of the datasheet's bandwidth that a healthy board reaches, by published reads."""
    low = lowest_read(profile.id)
    return None if low is None else HEALTHY_SHARE * low / profile.bandwidth_bytes_per_s
