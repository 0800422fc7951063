"""How it is measured.

Suites and plans, worker processes, timing, device state, ceilings, links, and the simulated device.
"""

__all__ = [
    "beside_linear",
    "bits",
    "calls",
    "ceilings",
    "clock",
    "correctness",
    "crosscheck",
    "failures",
    "fresh",
    "host_heap",
    "links",
    "local",
    "measure",
    "memory",
    "plan",
    "provenance",
    "run",
    "scheduler",
    "selection",
    "selftest",
    "settings",
    "side_by_side",
    "simulated",
    "sniff",
    "state",
    "suite",
    "timing",
    "tune",
    "workers",
]
