"""What a device can do.

Detection of GPUs and the CPU, the catalog of vendors' figures and formulas for boards that are not listed,
which format an architecture multiplies natively, and the roofline formulas. Torch-free but for
`torch_join`.
"""

__all__ = [
    "catalog",
    "cgroup",
    "checks",
    "clock_events",
    "compute",
    "cpu",
    "cuda_driver",
    "derive",
    "detect",
    "gpus",
    "health",
    "host_load",
    "links",
    "native",
    "nvml",
    "pci_slot",
    "profile_file",
    "published",
    "roofline",
    "select",
    "simulated",
    "slices",
    "torch_join",
    "types",
    "visible",
]
