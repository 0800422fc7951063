"""bf16, fp16, fp8 and int8 products in Triton: persistent with TMA, split-K for few rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quantroof.hwprofiles.native import only_on_the_older_path
from quantroof.hwprofiles.types import Device
from quantroof.kernels.act_quant.rows import quantize_rows_program
from quantroof.kernels.architectures import MMA_SYNC, TCGEN05
from quantroof.kernels.cases import Case
from quantroof.kernels.formats import Format
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.linear.dense_programs import FAMILY, TYPES, program, space
from quantroof.kernels.linear.workspace import workspace
from quantroof.kernels.program import MachineCode, Program, Target
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem


Also = Callable[[Case], tuple[Program, ...]]


def _check(case: Case, device: Device) -> Skip | None:
    element = case.compute.name
    return (
        needs_capability(device, TYPES[element][1], f"{element} matrix instructions")
        or needs_multiple(case.k, 64, "K", "triton's dense kernel")
        or needs_multiple(case.n, 16, "N", "triton's dense kernel")
    )


def _build(problem: Problem) -> Prepared:
    launch, code = _bound(problem)
    scales = problem.activation.scales
    x, x_scale = problem.activation.codes, _flat(scales, problem)
    return Prepared(_weights(problem), lambda w, ws: launch(x, x_scale, w, ws), code.config(), _hot(code))


def _build_dynamic(problem: Problem) -> Prepared:
    import torch

    case = problem.case
    launch, code = _bound(problem)
    (quantize,) = _quantize(case)
    x = problem.arriving
    codes = torch.empty_like(problem.activation.codes)
    scales = torch.empty(case.m, dtype=torch.float32, device=x.device)

    def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        quantize.launch(x, codes, scales, case.k)
        return launch(codes, scales, w, ws)

    return Prepared(_weights(problem), call, code.config(), (*_hot(code), "activation codes"))


def _quantize(case: Case) -> tuple[Program, ...]:
    """The quantization kernel that is launched before the product."""
    return (quantize_rows_program(case.compute, case.m, case.k),)


def _bound(problem: Problem) -> tuple[Callable[..., torch.Tensor], Program]:
    """launch(x, x_scale, w, w_scale) of the chosen program with its output and workspace."""
    import torch

    case = problem.case
    code = program(case, Target.of(problem.device))
    c = code.constants
    dtype = torch.float16 if case.output.element.name == "fp16" else torch.bfloat16
    y = torch.full((case.m, case.n), float("nan"), dtype=dtype, device=problem.torch_device)
    shape = (case.m, case.n, case.k)
    if "PROGRAMS" in c:
        from triton.tools.tensor_descriptor import TensorDescriptor

        describe = TensorDescriptor.from_tensor
        bm, bn, bk = int(c["BM"]), int(c["BN"]), int(c["BK"])
        out = describe(y, [bm, bn // 2])

        def launch(x: Any, xs: Any, w: Any, ws: Any) -> torch.Tensor:
            code.launch(describe(x, [bm, bk]), describe(w, [bn, bk]), out, xs, ws, *shape)
            return y

    elif "SPLIT" in c:
        partials, counters = workspace(code, y.device, torch.int32 if c["INT"] else torch.float32)

        def launch(x: Any, xs: Any, w: Any, ws: Any) -> torch.Tensor:
            code.launch(x, w, y, xs, ws, partials, counters, *shape)
            return y

    else:

        def launch(x: Any, xs: Any, w: Any, ws: Any) -> torch.Tensor:
            code.launch(x, w, y, xs, ws, *shape)
            return y

    return launch, code


def _weights(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    return problem.weight.codes, _flat(problem.weight.scales, problem)


def _flat(scales: torch.Tensor | None, problem: Problem) -> torch.Tensor:
    """Scales as the kernels index them; a 1 that is never read for formats without scales."""
    import torch

    if scales is None:
        return torch.ones(1, device=problem.torch_device)
    return scales.flatten().contiguous()


def _hot(code: Program) -> tuple[str, ...]:
    split = int(code.constants.get("SPLIT", 1)) > 1
    return ("activations", "output", "workspace") if split else ("activations", "output")


@dataclass(frozen=True, slots=True)
class _Opcodes:
    """What an element is multiplied by: mma.sync, wgmma, tcgen05, and the two generations of AMD."""

    sync: str
    wgmma: str
    tcgen05: str
    gfx942: str
    gfx950: str

    def classes(self, element: str) -> dict[str, str]:
        """By architecture; some have tcgen05, and an element on the older path only."""
        tcgen05 = {
            arch: self.sync if only_on_the_older_path(element, arch) else self.tcgen05 for arch in TCGEN05
        }
        nvidia = {**dict.fromkeys(MMA_SYNC, self.sync), "sm_90a": self.wgmma, **tcgen05}
        return {k: f"matrix:{v}" for k, v in {**nvidia, "gfx942": self.gfx942, "gfx950": self.gfx950}.items()}


def _machine_code(
    weight: str, activation: str, output: str, opcodes: _Opcodes, also: Also = lambda _: ()
) -> MachineCode:
    """A skinny and a wide case."""
    formats = f"{weight}-{activation}-{output}"
    cases = (f"gemv/{formats}/m1-n4096-k4096", f"gemm/{formats}/m4096-n4096-k4096")
    classes = opcodes.classes(Format.parse(weight).element.name)
    return MachineCode(cases, program, classes, tuning=(FAMILY, space), also=also, not_portable=None)


def _kernel(
    name: str, schemes: tuple[str, ...], summary: str, code: MachineCode, build: Callable[..., Any] = _build
) -> Kernel:
    return Kernel(
        name, "triton", schemes, build, _check, targets=("gpu",), summary=summary, machine_code=code
    )


_BF16 = _Opcodes("HMMA", "HGMMA", "UTCHMMA", "MFMA_BF16", "MFMA_BF16")
_FP16 = _Opcodes("HMMA", "HGMMA", "UTCHMMA", "MFMA_F16", "MFMA_F16")
_FP8 = _Opcodes("QMMA", "QGMMA", "UTCQMMA", "MFMA_FP8_FP8", "MFMA_F8F6F4")
# With tcgen05 int8 is multiplied by mma.sync before Triton 3.8, then by kind::i8.
_INT8 = _Opcodes("IMMA", "IGMMA", "IMMA|UTCIMMA", "MFMA_I8", "MFMA_I8")
KERNELS = (
    _kernel(
        "triton.bf16",
        ("bf16",),
        "persistent TMA; split-K when skinny",
        _machine_code("bf16", "bf16", "bf16", _BF16),
    ),
    _kernel(
        "triton.fp16",
        ("fp16",),
        "persistent TMA; split-K when skinny",
        _machine_code("fp16", "fp16", "fp16", _FP16),
    ),
    _kernel(
        "triton.fp8",
        ("fp8-w8a8-static",),
        "fp8 products, tensor scales",
        _machine_code("fp8_e4m3.tensor", "fp8_e4m3.tensor", "bf16", _FP8),
    ),
    _kernel(
        "triton.quant+fp8",
        ("fp8-w8a8",),
        "per-token quantizing, fp8 products, row scales",
        _machine_code("fp8_e4m3.channel", "fp8_e4m3.token.from_bf16", "bf16", _FP8, _quantize),
        _build_dynamic,
    ),
    _kernel(
        "triton.int8",
        ("int8-w8a8-static",),
        "int8 products, row scales",
        _machine_code("int8.channel", "int8.token", "bf16", _INT8),
    ),
    _kernel(
        "triton.quant+int8",
        ("int8-w8a8",),
        "per-token quantizing, int8 products, row scales",
        _machine_code("int8.channel", "int8.token.from_bf16", "bf16", _INT8, _quantize),
        _build_dynamic,
    ),
)
