"""CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER as CUDA reads them."""

from __future__ import annotations

import pytest

from quantroof.hwprofiles.visible import visible
from tests.hwprofiles.boards import board

FOUR = [board(f"GPU-{letter}0000000-0000-4000-8000-000000000000") for letter in "abcd"]
SLICED = [
    board("GPU-aa", slices=("MIG-11aa", "MIG-12bb")),
    board("GPU-bb", slices=("MIG-21cc",)),
]


def letters(setting: str | None, **others: str) -> str:
    """The third character of the UUIDs that are visible, in order."""
    environment = dict(others) if setting is None else {"CUDA_VISIBLE_DEVICES": setting, **others}
    return "".join((d.uuid or "")[4] for d in visible(FOUR, environment))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, "abcd"),
        ("", ""),
        ("2,0", "ca"),
        (" 1 , 3 ", "bd"),
        ("0,9,1", "a"),
        ("-1", ""),
        ("1,-1,2", "b"),
        ("0,0", ""),
        ("1x,2", "bc"),
        ("none", ""),
        ("GPU-c,GPU-a", "ca"),
        ("GPU-c0000000-0000-4000-8000-000000000000", "c"),
        ("GPU-", ""),
        ("GPU-b,1", "b"),
        ("GPU-b,GPU-zz,GPU-a", "b"),
    ],
)
def test_visible_devices_follow_cudas_rules(setting: str | None, expected: str) -> None:
    """Numbers, UUIDs and their beginnings choose; the first unknown ends the list, a repeat empties it."""
    assert letters(setting) == expected


def test_visible_devices_are_numbered_from_zero_in_the_order_asked_for() -> None:
    """The index is what CUDA calls the device, not the place on the bus."""
    chosen = visible(FOUR, {"CUDA_VISIBLE_DEVICES": "3,1"})
    assert [d.id for d in chosen] == ["cuda:0", "cuda:1"]


def test_the_fastest_gpu_comes_first_unless_the_bus_order_is_asked_for() -> None:
    """CUDA's default order puts the faster board first and keeps equal ones in bus order."""
    mixed = [board("GPU-slow", cores=2048), board("GPU-fast"), board("GPU-fast2")]
    assert [d.uuid for d in visible(mixed, {})] == ["GPU-fast", "GPU-fast2", "GPU-slow"]
    by_bus = visible(mixed, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"})
    assert [d.uuid for d in by_bus] == ["GPU-slow", "GPU-fast", "GPU-fast2"]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, ["MIG-11aa", "MIG-12bb", "MIG-21cc"]),
        ("0", ["MIG-11aa"]),
        ("1,0", ["MIG-21cc", "MIG-11aa"]),
        ("MIG-12bb", ["MIG-12bb"]),
        ("MIG-1", []),
        ("MIG-21cc,MIG-11aa", ["MIG-21cc", "MIG-11aa"]),
        ("GPU-bb", ["MIG-21cc"]),
    ],
)
def test_mig_slices_stand_in_for_their_gpu(setting: str | None, expected: list[str]) -> None:
    """Under MIG a slice is the device: by UUID, or a board's first slice by the board's number."""
    environment = {} if setting is None else {"CUDA_VISIBLE_DEVICES": setting}
    assert [d.uuid for d in visible(SLICED, environment)] == expected
