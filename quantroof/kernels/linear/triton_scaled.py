"""MXFP8, MXFP4 and NVFP4 products in Triton by `tl.dot_scaled`, where the compiler makes them native.

Activations are quantized inside the call. The tensor scale of NVFP4's activations is that of the problem,
because engines calibrate it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from quantroof.errors import first_line
from quantroof.hwprofiles.types import Device
from quantroof.kernels.architectures import TCGEN05, architecture_of
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.linear.scaled_programs import (
    FAMILY,
    STEP,
    program,
    quantize_program,
    space,
)
from quantroof.kernels.linear.workspace import workspace
from quantroof.kernels.program import MachineCode, Program, Target
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem
    from quantroof.kernels.quantize import Quantized

_SCALED_INSTRUCTION = "block_scale"  # the qualifier of mma.sync and tcgen05.mma in PTX


def _check(case: Case, device: Device) -> Skip | None:
    what = "triton's block-scaled product"
    if skip := needs_capability(device, (10, 0), "block-scaled matrix instructions"):
        return skip
    if case.weight.swizzled or case.activation.swizzled:
        return Skip(f"{what} reads scales in plain order: name the plain format")
    arch = architecture_of(device.capability or (0, 0))
    if case.weight.element.is_e2m1 != case.activation.element.is_e2m1 and arch not in TCGEN05:
        return Skip("triton emulates fp8 x fp4 with mma.sync: only tcgen05 multiplies the two")
    return needs_multiple(case.k, STEP, "K", what) or needs_multiple(case.n, 16, "N", what)


def _build(problem: Problem) -> Prepared | Skip:
    import torch

    case = problem.case
    code = program(case, Target.of(problem.device))
    if problem.device.kind == "cuda" and (skip := emulated(code, problem.device)):
        return skip
    quantize, x = quantize_program(case), problem.arriving
    one = torch.ones(1, device=x.device)
    calibrated = one if problem.activation.tensor_scale is None else problem.activation.tensor_scale
    codes, scales, _ = operand(problem.activation)
    codes, scales = torch.empty_like(codes), torch.empty_like(scales)
    y = torch.full((case.m, case.n), float("nan"), dtype=torch.bfloat16, device=x.device)
    partials, counters = workspace(code, x.device, torch.float32)

    def call(w: torch.Tensor, ws: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        quantize.launch(x, codes, scales, calibrated, case.k)
        shape = (case.m, case.n, case.k)
        code.launch(codes, w, scales, ws, calibrated, whole, y, partials, counters, *shape)
        return y

    hot = ("activations", "output", "activation codes", *(["workspace"] if code.grid[1] > 1 else []))
    return Prepared(operand(problem.weight), call, {**code.config(), "scales": "plain"}, hot)


def operand(side: Quantized) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(codes, packed where they are e2m1; stored scales; the tensor scale, or 1)."""
    import torch

    from quantroof.kernels.block_scales import scale_codes
    from quantroof.kernels.packing import pack_nibbles

    element = side.format.element
    stored = scale_codes(side.scale, element)
    scales = stored if element.scale == "e8m0" else stored.view(torch.float8_e4m3fn)
    codes = pack_nibbles(side.codes) if element.is_e2m1 else side.codes
    whole = side.tensor_scale
    return codes, scales, torch.ones(1, device=codes.device) if whole is None else whole


def emulated(code: Program, device: Device) -> Skip | None:
    """Why the installed Triton does not multiply natively here, by its own PTX; None if it does."""
    import triton
    from triton.backends.compiler import GPUTarget

    from quantroof.kernels.sass.ahead import ast_source

    major, minor = device.capability or (0, 0)
    hint = "`quantroof stack` names the versions that do"
    try:
        target = GPUTarget("cuda", major * 10 + minor, 32)
        made: Any = triton.compile(ast_source(code), target=target, options=code.compile_options)
    except Exception as error:  # noqa: BLE001 - a compiler may raise anything
        return Skip(f"triton {triton.__version__} does not compile this format here: {first_line(error)}")
    if _SCALED_INSTRUCTION in made.asm["ptx"]:
        return None
    return Skip(f"triton {triton.__version__} emulates this format here: {hint}")


def _machine_code(
    weight: str, activation: str, tcgen05: str, sync: str | None, amd: str | None
) -> MachineCode:
    """One row and many; the class with tcgen05, and where there is one with mma.sync and on gfx950."""
    formats = f"{weight}-{activation}.from_bf16-bf16"
    cases = (f"gemv/{formats}/m1-n4096-k4096", f"gemm/{formats}/m4096-n4096-k4096")
    expects = dict.fromkeys(TCGEN05, f"matrix:{tcgen05}")
    if sync is not None:
        expects |= dict.fromkeys(("sm_120a", "sm_121a"), f"matrix:{sync}")
    if amd is not None:
        expects["gfx950"] = f"matrix:{amd}"
    return MachineCode(cases, program, expects, tuning=(FAMILY, space), also=_quantize, not_portable=None)


def _quantize(case: Case) -> tuple[Program, ...]:
    """The quantization kernel that is launched before the product."""
    return (quantize_program(case),)


_kernel = partial(Kernel, provider="triton", build=_build, check=_check, targets=("gpu",))

KERNELS = (
    _kernel(
        name="triton.quant+mxfp8",
        schemes=("mxfp8-w8a8",),
        summary="quantizing in blocks of 32, dot_scaled; few rows as columns",
        machine_code=_machine_code("mxfp8.g32", "mxfp8.g32", "UTCQMMA", "QMMA", "MFMA_F8F6F4"),
    ),
    _kernel(
        name="triton.quant+mxfp4",
        schemes=("mxfp4-w4a4",),
        summary="as triton.quant+mxfp8, both sides in e2m1",
        machine_code=_machine_code("mxfp4.g32", "mxfp4.g32", "UTCOMMA", "OMMA", "MFMA_F8F6F4"),
    ),
    _kernel(
        name="triton.quant+nvfp4",
        schemes=("nvfp4-w4a4",),
        summary="quantizing in blocks of 16, dot_scaled with e4m3 scales and tensor scales",
        machine_code=_machine_code("nvfp4.g16", "nvfp4.g16", "UTCOMMA", "OMMA", None),
    ),
    _kernel(
        name="triton.quant+mxfp4_w4a8",
        schemes=("mxfp4-w4a8",),
        summary="MXFP4 weights, activations quantized to MXFP8; tcgen05 only",
        machine_code=_machine_code("mxfp4.g32", "mxfp8.g32", "UTCQMMA", None, "MFMA_F8F6F4"),
    ),
)
