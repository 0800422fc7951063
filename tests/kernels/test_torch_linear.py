"""torch's kernels against float64 of the values they were given, on the CPU that is here."""

from __future__ import annotations

import pytest
import torch

from quantroof.bench.correctness import WrongOutput, check
from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.problem import Problem, tolerance
from quantroof.kernels.schemes import SCHEMES
from quantroof.kernels.schemes import scheme as scheme_named

CPU = Device(kind="cpu", index=0, name="test CPU")
H100 = Device(kind="sim", index=0, name="NVIDIA H100 80GB HBM3", compute_capability="9.0")
A100 = Device(kind="sim", index=0, name="NVIDIA A100-SXM4-80GB", compute_capability="8.0")
T4 = Device(kind="sim", index=0, name="Tesla T4", compute_capability="7.5")

_CONVERSIONS = ("act_quant", "dequantize")
CPU_PAIRS = [
    (kernel, scheme, m)
    for kernel in registry.load().kernels.values()
    for scheme in kernel.schemes
    for m in (1, 3, 17)
    if kernel.provider == "torch" and "cpu" in kernel.targets and scheme != "tf32"
    if "gemm" in kernel.operations or (len(kernel.operations) == 1 and kernel.operations[0] in _CONVERSIONS)
]


@pytest.mark.parametrize(("kernel", "scheme", "m"), CPU_PAIRS, ids=lambda v: getattr(v, "name", str(v)))
def test_cpu_kernel_is_right(kernel: Kernel, scheme: str, m: int) -> None:
    """Every torch kernel of the CPU is within its format's tolerance at M = 1, 3 and 17."""
    case = Case.linear(scheme_named(scheme), m, 96, 256)
    problem = Problem(case, CPU, seed=m)
    prepared = kernel.build(problem)
    if isinstance(prepared, Skip) and kernel.name == "torch.quant+scaled_mm":
        pytest.skip(prepared.reason)  # torch 2.11 takes row scales on a GPU only
    assert isinstance(prepared, Prepared)
    accuracy = check(prepared, problem)

    assert accuracy.frobenius < accuracy.tolerance
    assert accuracy.format_frobenius is not None


@pytest.mark.parametrize(
    ("scheme", "damage"),
    [("int8-w8a16", "scale"), ("int4-w4a16", "group"), ("bf16", "row")],
)
def test_check_notices_a_damaged_kernel(scheme: str, damage: str) -> None:
    """A scale off by 5 %, one lost group or one lost row is above the tolerance."""
    case = Case.linear(SCHEMES[scheme], 4, 96, 256)
    problem = Problem(case, CPU)

    def broken(*_: torch.Tensor) -> torch.Tensor:
        weight = problem.weight.dequantized()
        if damage == "scale":
            weight = weight * 1.05
        elif damage == "group":
            weight[:, :128] = 0
        else:
            weight[7] = 0
        return (problem.activation.dequantized() @ weight.T).bfloat16()

    assert check(Prepared((), broken), problem).frobenius > tolerance(case)


def test_output_nobody_wrote_is_caught() -> None:
    """An output left as the allocator gave it holds the poison, not an old right answer."""
    problem = Problem(Case.linear(SCHEMES["fp32"], 64, 512, 128), CPU)

    with pytest.raises(WrongOutput, match="NaN or infinity"):
        check(Prepared((), lambda: torch.full((64, 512), float("nan"))), problem)


def test_wrong_shape_is_caught() -> None:
    """A transposed output is refused before any error is computed."""
    problem = Problem(Case.linear(SCHEMES["fp32"], 4, 8, 16), CPU)

    with pytest.raises(WrongOutput, match=r"shape \(8, 4\)"):
        check(Prepared((), lambda: torch.zeros(8, 4)), problem)


def _skip(kernel: str, scheme: str, device: Device, m: int = 64, k: int = 256) -> str | None:
    case = Case.linear(SCHEMES[scheme], m, 256, k)
    found = registry.load().kernels[kernel].check(case, device)
    return found.reason if isinstance(found, Skip) else None


@pytest.mark.parametrize(("capability", "gfx"), [("9.4", "gfx942"), ("9.5", "gfx950")])
def test_an_amd_gpu_is_not_taken_for_hopper(capability: str, gfx: str) -> None:
    """Every kernel with code for one architecture refuses 9.4 and 9.5 by name, and takes 9.0."""
    amd = Device(kind="sim", index=0, name="MI300X", compute_capability=capability)
    reason = f"compute capability {capability} is not an NVIDIA capability known to us (AMD's {gfx} has it)"
    for kernel, scheme in (
        ("torch.linear", "bf16"),
        ("torch.scaled_mm", "fp8-w8a8-static"),
        ("torch.scaled_mm_fast", "fp8-w8a8-static"),
        ("torch.scaled_mm_blocks", "fp8-block-w8a8-static"),
        ("triton.bf16", "bf16"),
        ("triton.int4", "int4-w4a16"),
        ("cupy.int4", "int4-w4a16"),
    ):
        assert _skip(kernel, scheme, amd, m=8) == reason
        assert _skip(kernel, scheme, H100, m=8) is None


def test_refusals_say_why() -> None:
    """A missing feature is refused in a sentence; a present one is not refused."""
    assert _skip("torch.scaled_mm", "fp8-w8a8-static", A100) == (
        "fp8 matrix instructions need compute capability 8.9, this one has 8.0"
    )
    assert _skip("torch.scaled_mm", "fp8-w8a8-static", H100) is None
    assert (
        _skip("torch.int_mm", "int8-w8a8-static", H100, m=16) == "torch._int_mm needs M > 16 on a GPU, not 16"
    )
    assert _skip("torch.linear", "bf16", T4) == (
        "bf16 matrix instructions need compute capability 8.0, this one has 7.5"
    )
    assert _skip("torch.linear", "tf32", CPU) == "tf32 is a GPU tensor core type"
    assert _skip("torch.int4pack", "int4-w4a16", A100, k=384) is None
