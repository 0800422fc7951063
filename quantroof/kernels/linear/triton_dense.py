"""bf16, fp16, fp8 and int8 products in Triton: persistent with TMA, split-K for few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.hwprofiles.types import Device
from quantroof.kernels.act_quant.rows import quantize_rows_program
from quantroof.kernels.cases import Case
from quantroof.kernels.linear.tiling import Tiling, balanced_split, padded_rows, useful_splits
from quantroof.kernels.linear.tuned import choose
from quantroof.kernels.linear.workspace import workspace
from quantroof.kernels.problem import Problem
from quantroof.kernels.program import MachineCode, Program, Target
from quantroof.kernels.registry import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

# Triton's names of element types, and the first compute capability with matrix instructions for them.
_TYPES = {
    "bf16": ("bf16", (8, 0)),
    "fp16": ("fp16", (8, 0)),
    "int8": ("i8", (8, 0)),
    "fp8_e4m3": ("fp8e4nv", (8, 9)),
}
FAMILY = "dense"
_SKINNY_ROWS = 64
_GROUP_M = 8  # rows of tiles that share a column of weights in L2


def _check(case: Case, device: Device) -> Skip | None:
    element = case.compute.name
    return (
        needs_capability(device, _TYPES[element][1], f"{element} matrix instructions")
        or needs_multiple(case.k, 64, "K", "triton's dense kernel")
        or needs_multiple(case.n, 16, "N", "triton's dense kernel")
    )


def _scaling(case: Case) -> str:
    if case.weight.granularity == "none":
        return "none"
    return "tensor" if case.weight.granularity == "tensor" else "row"


def _pointer(name: str) -> str:
    return f"*{_TYPES[name][0]}"


def formula(case: Case, target: Target) -> Tiling:
    """Skinny cases fill the machine by splitting K; wide ones take the largest tile that keeps it busy."""
    step = _step(case, 256 if case.m <= _SKINNY_ROWS else 128)
    if case.m <= _SKINNY_ROWS:
        # 64 rows of 256 bytes are 16 KB a stage: three or four stages, two programs a multiprocessor.
        bm = padded_rows(case.m, _SKINNY_ROWS)
        split = balanced_split(-(-case.n // 64), case.k // step, target)
        return Tiling(bn=64, bm=bm, bk=step, split=split, num_warps=4, num_stages=4 if bm <= 32 else 3)
    if not target.has_wide_matrix_instructions:
        # A stage is 32 KB; 8.6, 8.9 and 12.0 have 99 KB of shared memory a program, 8.0 has 163.
        stages = 4 if target.capability == (8, 0) else 3
        return Tiling(bn=128, bm=128, bk=step, num_warps=8, num_stages=stages)
    wide = -(-case.m // 128) * -(-case.n // 256) >= target.sm_count
    return Tiling(bn=256 if wide else 128, bm=128, bk=step, num_warps=8, num_stages=4)


def space(case: Case, target: Target) -> list[Tiling]:
    """Tilings worth timing for a case."""
    start, bits = formula(case, target), case.compute.bits
    if case.m <= _SKINNY_ROWS:
        found = [
            msgspec.structs.replace(start, bn=bn, split=split, num_stages=stages)
            for bn in (64, 128)
            for split in useful_splits(-(-case.n // bn), case.k // start.bk, target)
            for stages in (3, 4, 5)
        ]
    else:
        found = [
            msgspec.structs.replace(start, bn=bn, bm=bm, num_stages=stages)
            for bm, bn in ((64, 128), (128, 64), (64, 256), (128, 128), (128, 256), (256, 128))
            for stages in (3, 4)
        ]
    return [tiling for tiling in found if tiling.fits(target, bits, bits)]


def _step(case: Case, row_bytes: int) -> int:
    """Elements of a step along K: as many bytes of a row where that divides K, else half, and so on.

    TMA fills what lies past the edge with zeros; plain pointers need whole steps.
    """
    step = row_bytes * 8 // case.compute.bits
    while case.k % step:
        step //= 2
    return step


def program(case: Case, target: Target) -> Program:
    """The device code for a case: skinny up to 64 rows, then TMA where there is one."""
    tile = choose(FAMILY, case, target, formula)
    if case.m <= _SKINNY_ROWS:
        return _skinny(case, tile)
    return _tma(case, target, tile) if target.has_wide_matrix_instructions else _pointers(case, tile)


def _common(case: Case) -> dict[str, int | bool | str]:
    return {"SCALING": _scaling(case), "INT": case.compute.name == "int8"}


def _skinny(case: Case, tile: Tiling) -> Program:
    from quantroof.kernels.linear.device.dense import dense_skinny

    integer = case.compute.name == "int8"
    operand, out = _pointer(case.compute.name), _pointer(case.output.element.name)
    return Program(
        function=dense_skinny,
        grid=(-(-case.n // tile.bn), tile.split, -(-case.m // tile.bm)),
        arguments=(
            *(operand, operand, out, "*fp32", "*fp32", "*i32" if integer else "*fp32", "*i32"),
            *("i32", "i32:16", "i32:16"),
        ),
        constants={"BN": tile.bn, "BM": tile.bm, "BK": tile.bk, "SPLIT": tile.split, **_common(case)},
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )


def _tma(case: Case, target: Target, tile: Tiling) -> Program:
    from quantroof.kernels.linear.device.dense import dense_tma

    programs = min(target.sm_count, -(-case.m // tile.bm) * -(-case.n // tile.bn))
    name, out = _TYPES[case.compute.name][0], _TYPES[case.output.element.name][0]
    return Program(
        function=dense_tma,
        grid=(programs, 1, 1),
        arguments=(
            *(f"tensordesc<{name}[{tile.bm}, {tile.bk}]>", f"tensordesc<{name}[{tile.bn}, {tile.bk}]>"),
            *(f"tensordesc<{out}[{tile.bm}, {tile.bn // 2}]>", "*fp32", "*fp32", "i32", "i32:16", "i32:16"),
        ),
        constants={
            "BM": tile.bm,
            "BN": tile.bn,
            "BK": tile.bk,
            "GROUP_M": _GROUP_M,
            "PROGRAMS": programs,
            **_common(case),
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )


def _pointers(case: Case, tile: Tiling) -> Program:
    from quantroof.kernels.linear.device.dense import dense_pointers

    operand = _pointer(case.compute.name)
    return Program(
        function=dense_pointers,
        grid=(-(-case.m // tile.bm) * -(-case.n // tile.bn), 1, 1),
        arguments=(
            *(operand, operand, _pointer(case.output.element.name), "*fp32", "*fp32"),
            *("i32", "i32:16", "i32:16"),
        ),
        constants={"BM": tile.bm, "BN": tile.bn, "BK": tile.bk, "GROUP_M": _GROUP_M, **_common(case)},
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
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
    quantize = quantize_rows_program(case.compute, case.m, case.k)
    x = problem.arriving
    codes = torch.empty_like(problem.activation.codes)
    scales = torch.empty(case.m, dtype=torch.float32, device=x.device)

    def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        quantize.launch(x, codes, scales, case.k)
        return launch(codes, scales, w, ws)

    return Prepared(_weights(problem), call, code.config(), (*_hot(code), "activation codes"))


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
    """Scales as the kernels index them; an unread 1 for formats without."""
    import torch

    if scales is None:
        return torch.ones(1, device=problem.torch_device)
    return scales.flatten().contiguous()


def _hot(code: Program) -> tuple[str, ...]:
    split = int(code.constants.get("SPLIT", 1)) > 1
    return ("activations", "output", "workspace") if split else ("activations", "output")


_SYNC = ("sm_80", "sm_86", "sm_89", "sm_120a")


def _machine_code(
    weight: str, activation: str, output: str, sync: str, wgmma: str, tcgen05: str
) -> MachineCode:
    """A skinny and a wide case; the class on mma.sync architectures, on sm_90a and on sm_100a."""
    formats = f"{weight}-{activation}-{output}"
    cases = (f"gemv/{formats}/m1-n4096-k4096", f"gemm/{formats}/m4096-n4096-k4096")
    expects = {**dict.fromkeys(_SYNC, sync), "sm_90a": wgmma, "sm_100a": tcgen05}
    classes = {k: f"matrix:{v}" for k, v in expects.items()}
    return MachineCode(cases, program, classes, tuning=(FAMILY, space))


def _kernel(
    name: str, schemes: tuple[str, ...], summary: str, code: MachineCode, build: Callable[..., Any] = _build
) -> Kernel:
    return Kernel(
        name, "triton", schemes, build, _check, targets=("gpu",), summary=summary, machine_code=code
    )


# Triton 3.7 compiles int8 for sm_100 to mma.sync, though tcgen05 has kind::i8; the golden table records it.
KERNELS = (
    _kernel(
        "triton.bf16",
        ("bf16",),
        "persistent TMA; split-K when skinny",
        _machine_code("bf16", "bf16", "bf16", "HMMA", "HGMMA", "UTCHMMA"),
    ),
    _kernel(
        "triton.fp16",
        ("fp16",),
        "persistent TMA; split-K when skinny",
        _machine_code("fp16", "fp16", "fp16", "HMMA", "HGMMA", "UTCHMMA"),
    ),
    _kernel(
        "triton.fp8",
        ("fp8-w8a8-static",),
        "fp8 products, tensor scales",
        _machine_code("fp8_e4m3.tensor", "fp8_e4m3.tensor", "bf16", "QMMA", "QGMMA", "UTCQMMA"),
    ),
    _kernel(
        "triton.quant+fp8",
        ("fp8-w8a8",),
        "per-token quantising, fp8 products, row scales",
        _machine_code("fp8_e4m3.channel", "fp8_e4m3.token.from_bf16", "bf16", "QMMA", "QGMMA", "UTCQMMA"),
        _build_dynamic,
    ),
    _kernel(
        "triton.int8",
        ("int8-w8a8-static",),
        "int8 products, row scales",
        _machine_code("int8.channel", "int8.token", "bf16", "IMMA", "IGMMA", "IMMA"),
    ),
    _kernel(
        "triton.quant+int8",
        ("int8-w8a8",),
        "per-token quantising, int8 products, row scales",
        _machine_code("int8.channel", "int8.token.from_bf16", "bf16", "IMMA", "IGMMA", "IMMA"),
        _build_dynamic,
    ),
)
