"""The architectures that kernels are compiled for without a GPU, by NVIDIA's and by AMD's names."""

from __future__ import annotations

from quantroof.errors import unknown_name
from quantroof.hwprofiles.native import AMD_FORMATS

# Triton takes the number and adds the `a` of architecture-specific features (wgmma, tcgen05) by itself.
NVIDIA: dict[str, int] = {
    "sm_80": 80,
    "sm_86": 86,
    "sm_89": 89,
    "sm_90a": 90,
    "sm_100a": 100,
    "sm_103a": 103,
    "sm_107a": 107,
    "sm_110a": 110,
    "sm_120a": 120,
    "sm_121a": 121,
}
AMD = tuple(AMD_FORMATS)
ARCHITECTURES = (*NVIDIA, *AMD)
MMA_SYNC = ("sm_80", "sm_86", "sm_89", "sm_120a", "sm_121a")
"""Their only matrix instruction is mma.sync."""
TCGEN05 = ("sm_100a", "sm_103a", "sm_107a", "sm_110a")


def known(arch: str) -> str:
    """The architecture itself; UsageError if it is not one that is compiled for."""
    if arch not in ARCHITECTURES:
        raise unknown_name("architecture", arch, list(ARCHITECTURES))
    return arch


def number_of(arch: str) -> int:
    """The compute capability of an NVIDIA architecture as one number, 90 for `sm_90a`."""
    if arch not in NVIDIA:
        raise unknown_name("architecture", arch, list(NVIDIA))
    return NVIDIA[arch]


def architecture_of(capability: tuple[int, int]) -> str | None:
    """The NVIDIA architecture that a compute capability runs, or None."""
    number = capability[0] * 10 + capability[1]
    return next((arch for arch, own in NVIDIA.items() if own == number), None)
