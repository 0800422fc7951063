"""Runs kernels under Triton's interpreter in worker processes of their own.

Triton decides at import whether it interprets; a process that compiles ahead of time cannot also interpret.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


class Interpreter:
    """Two workers with TRITON_INTERPRET=1; every (kernel, case) is computed once a session."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=_interpret)
        self._results: dict[tuple[str, str, str], Future[dict[str, float]]] = {}

    def submit(self, kernel: str, case: str, capability: str) -> Future[dict[str, float]]:
        """Start (or find) the computation of a kernel on a case, configured for a compute capability."""
        key = (kernel, case, capability)
        if key not in self._results:
            self._results[key] = self._pool.submit(run_interpreted, *key)
        return self._results[key]

    def tune(self, kernel: str, case: str) -> dict[str, Any]:
        """Tune a kernel for a case on the interpreter."""
        return self._pool.submit(tune_interpreted, kernel, case).result(timeout=120)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.shutdown(cancel_futures=True)


def _interpret() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    import torch
    import triton

    torch.set_num_threads(1)
    if triton.__version__.startswith("3.6."):
        _take_integers_by_item()


def _take_integers_by_item() -> None:
    """Triton 3.6's interpreter calls int() on arrays of one element, which numpy 2.4 refuses."""
    from triton.runtime import interpreter

    original = interpreter._patch_lang_tensor

    def patched(tensor: Any, scope: Any) -> None:
        original(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    interpreter._patch_lang_tensor = patched


def run_interpreted(kernel: str, case: str, capability: str = "9.0") -> dict[str, float]:
    """Build a kernel on CPU tensors, call it three times, compare with fp64 of the values it was given.

    Returns the relative Frobenius error, the tolerance, and how far apart repeated calls were.
    """
    import torch

    from quantroof.hwprofiles.types import Device
    from quantroof.kernels import registry
    from quantroof.kernels.cases import Case
    from quantroof.kernels.kernel import Skip
    from quantroof.kernels.problem import Problem, tolerance
    from quantroof.kernels.reference import reference_of

    parsed = Case.parse(case)
    # Tensors live on the CPU; sm_count makes the formula split K as it would on a small GPU.
    device = Device(kind="cpu", index=0, name="interpreter", compute_capability=capability, sm_count=4)
    problem = Problem(parsed, device, seed=7)
    prepared = registry.load().kernels[kernel].build(problem)
    assert not isinstance(prepared, Skip), prepared

    def result() -> torch.Tensor:
        output = prepared.call(*prepared.weights)
        values: torch.Tensor = prepared.values(output).double().clone()
        # What the next call does not write must show: a buffer would still hold this call's result.
        for buffer in output if isinstance(output, tuple) else (output,):
            buffer.fill_(float("nan") if buffer.is_floating_point() else 99)
        return values

    first = result()
    again = max(float((result() - first).abs().max()) for _ in range(2))
    expected = reference_of(problem).exact
    error = torch.linalg.norm(first - expected) / torch.linalg.norm(expected)
    return {"error": float(error), "tolerance": tolerance(parsed), "again": again}


def tune_interpreted(kernel: str, case: str) -> dict[str, Any]:
    """Run the tuner with short limits; returns what it tried, timed and kept."""
    import torch

    from quantroof.bench.measure import Bench
    from quantroof.bench.settings import Settings
    from quantroof.bench.state.monitor import monitor_for
    from quantroof.bench.timing.rotation import Arena
    from quantroof.bench.tune import tune
    from quantroof.hwprofiles.types import Device
    from quantroof.kernels import registry
    from quantroof.kernels.cases import Case

    device = Device(kind="cpu", index=0, name="interpreter", compute_capability="9.0", sm_count=1)
    settings = Settings(precision=0.5, min_samples=3, max_samples=3, seconds_per_case=0.05)
    arena = Arena(torch.device("cpu"), 0, 1 << 28)
    bench = Bench(device, settings, arena, monitor_for(device))
    medians: list[float | None] = []
    outcome = tune(
        bench,
        registry.load().kernels[kernel],
        Case.parse(case),
        lambda _tiling, median_ns, _remark: medians.append(median_ns),
    )
    assert outcome.entry is not None
    timed = [m for m in medians if m is not None]
    return {
        "tried": outcome.tried,
        "timed": len(timed),
        "medians": timed,
        "best_ns": outcome.entry.median_ns,
    }
