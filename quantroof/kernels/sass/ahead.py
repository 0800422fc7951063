"""Compile Programs ahead of time for any GPU, without having it."""

from __future__ import annotations

from typing import Any

from quantroof.kernels.architectures import number_of
from quantroof.kernels.program import CudaProgram, Program
from quantroof.kernels.sass.native import read_source
from quantroof.kernels.sass.nvrtc import compile_cuda


def compile_ahead(program: Program | CudaProgram, arch: str) -> tuple[bytes, int]:
    """Compile for an architecture; returns (cubin, bytes of shared memory requested at launch).

    CUDA C++ requests none: the code declares its own.
    """
    if isinstance(program, CudaProgram):
        source = read_source(program.source)
        return compile_cuda(source, arch, name=program.source, options=program.options), 0
    return _compile_triton(program, arch)


def _compile_triton(program: Program, arch: str) -> tuple[bytes, int]:
    import triton
    from triton.backends.compiler import GPUTarget

    target = GPUTarget("cuda", number_of(arch), 32)
    compiled = triton.compile(ast_source(program), target=target, options=program.compile_options)
    return compiled.asm["cubin"], int(compiled.metadata.shared)


def ast_source(program: Program) -> Any:
    """What Triton compiles: the function with its constants and the types of its arguments."""
    from triton.compiler import ASTSource

    names = list(program.function.arg_names)
    runtime = [name for name in names if name not in program.constants]
    types = dict(zip(runtime, program.arguments, strict=True))
    return ASTSource(
        fn=program.function,
        signature={n: types[n].partition(":")[0] if n in types else "constexpr" for n in names},
        constexprs={(names.index(n),): v for n, v in program.constants.items()},
        attrs=_attributes(program, names, types),
    )


def _attributes(
    program: Program, names: list[str], types: dict[str, str]
) -> dict[tuple[int], list[list[Any]]]:
    """What a launch finds out about its arguments, in their order, so that it reuses this compilation.

    Constants have an entry too, an empty one: all of them since Triton 3.7, and only text before.
    """
    import triton

    text_only = triton.__version__.startswith("3.6.")
    found: dict[tuple[int], list[list[Any]]] = {}
    for index, name in enumerate(names):
        kind = types.get(name, "")
        if kind.startswith("*") or kind.endswith(":16"):
            found[index,] = [["tt.divisibility", 16]]
        elif name in program.constants and (isinstance(program.constants[name], str) or not text_only):
            found[index,] = []
    return found
