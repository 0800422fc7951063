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
        return self._pool.submit(tune_interpreted, kernel, case).result(timeout=300)

    def hostile(self, kernel: str, case: str, capability: str, seed: int) -> Future[float]:
        """Start a kernel on hostile values; the result is its largest error in units of the allowed one."""
        return self._pool.submit(run_hostile, kernel, case, capability, seed)

    def quantized_alike(self, case: str) -> Future[int]:
        """How many bytes of codes and scales differ between a kernel's quantizer and the pure one."""
        return self._pool.submit(run_quantizer, case)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.shutdown(cancel_futures=True)


def _interpret() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    import torch
    import triton

    from tests.kernels.dot_scaled_shim import have_dot_scaled

    torch.set_num_threads(1)
    if triton.__version__.startswith("3.6."):
        _take_integers_by_item()
    have_dot_scaled()


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


def run_hostile(kernel: str, case: str, capability: str, seed: int) -> float:
    """The largest error on hostile values, in units of what rounding to bf16 and sums in fp32 allow."""
    import torch

    from quantroof.hwprofiles.types import Device
    from quantroof.kernels import registry
    from quantroof.kernels.cases import Case
    from quantroof.kernels.kernel import Skip
    from quantroof.kernels.problem import Problem
    from quantroof.kernels.quantize import quantize
    from quantroof.kernels.reference import product

    parsed = Case.parse(case)
    device = Device(kind="cpu", index=0, name="interpreter", compute_capability=capability, sm_count=4)
    plain = Problem(parsed, device, seed=seed)
    weight = quantize(hostile(plain.weights.source, seed), parsed.weight)
    arriving = hostile(plain.source, seed + 1).to(torch.bfloat16)
    problem = plain.with_operands(weight=weight, arriving=arriving)
    prepared = registry.load().kernels[kernel].build(problem)
    assert not isinstance(prepared, Skip), prepared
    y = prepared.call(*prepared.weights).double()
    sides = problem.activation.dequantized(), weight.dequantized()
    exact, sizes = product(parsed, *sides), product(parsed, *(side.abs() for side in sides))
    allowed = exact.abs() * 2.0**-8 + sizes * parsed.k * 2.0**-24
    return float(((y - exact).abs() / allowed.clamp(min=2.0**-126)).max())


def run_quantizer(case: str) -> int:
    """Bytes of codes and scales that differ from `block_scales` on hostile activations."""
    import torch

    from quantroof.kernels.block_scales import quantize_blocks
    from quantroof.kernels.cases import Case
    from quantroof.kernels.linear.scaled_programs import quantize_program
    from quantroof.kernels.linear.triton_scaled import operand
    from quantroof.kernels.quantize import Quantized

    parsed = Case.parse(case)
    fmt = parsed.activation
    source = torch.randn(parsed.m, parsed.k, generator=torch.Generator().manual_seed(3))
    x = hostile(source, 3).to(torch.bfloat16)
    x[0], x[1] = 0.0, (torch.arange(parsed.k) % 7 - 3) * 2.0**-126  # zeros, and scales below the least
    blocks = quantize_blocks(x, fmt.element)
    wanted = operand(Quantized(fmt, blocks.codes, blocks.scales, tensor_scale=blocks.tensor_scale))
    made = [torch.empty_like(side) for side in wanted[:2]]
    quantize_program(parsed).launch(x, *made, wanted[2], parsed.k)
    pairs = zip(made, wanted, strict=False)
    return sum(int((a.view(torch.uint8) != b.view(torch.uint8)).sum()) for a, b in pairs)


def hostile(x: Any, seed: int) -> Any:
    """x [rows, K] with rows and groups of 16 scaled by 2^-12 .. 2^12, zeros, and outliers."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Any:
        return torch.randint(-12, 13, shape, generator=generator)

    groups = x.view(x.shape[0], -1, 16)
    scaled = torch.ldexp(groups, draw(*groups.shape[:2], 1) + draw(groups.shape[0], 1, 1))
    scaled[draw(*groups.shape[:2]) == 0] = 0.0
    scaled[draw(*groups.shape) == 12] *= 64
    scaled[draw(*groups.shape) == 11] = 0.0
    return scaled.view(x.shape)


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
