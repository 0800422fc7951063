"""How it is measured.

Suites and plans, worker processes, timing, device state, ceilings, links, and the simulated device.
"""

__all__ = [
    "ceilings",
    "correctness",
    "crosscheck",
    "host_heap",
    "links",
    "local",
    "measure",
    "memory",
    "plan",
    "provenance",
    "run",
    "scheduler",
    "settings",
    "simulated",
    "state",
    "suite",
    "timing",
    "tune",
    "workers",
]
