"""NVTX ranges around every case, so that nsys and ncu users find them; nothing where there is no NVTX."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

_DOMAIN = "quantroof"


def case_range(case: str, kernel: str) -> AbstractContextManager[object]:
    """A range named `case kernel` in the domain `quantroof`; it costs nothing while no profiler listens."""
    try:
        import nvtx
    except ImportError:
        return nullcontext()
    annotation: AbstractContextManager[object] = nvtx.annotate(f"{case} {kernel}", domain=_DOMAIN)
    return annotation
