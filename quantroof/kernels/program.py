"""A Program: device code with its compile-time constants, to be launched or to be compiled ahead.

Therefore the tests disassemble exactly what runs: same function, same constants, same argument types. In
CUDA C++ it is the source with its options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case

# A multiplication and the addition after it become one instruction. It was always Triton's default, but 3.9
# warns where nothing is requested, because 3.10 turns it off.
FP_FUSION = True


@dataclass(frozen=True, slots=True)
class Target:
    """What a configuration is chosen for: compute capability, multiprocessors, the device's name."""

    capability: tuple[int, int]
    sm_count: int
    device: str | None = None

    @classmethod
    def of(cls, device: Device) -> Target:
        """The target of a detected GPU. A device that reports no size is treated as an H100."""
        return cls(device.capability or (8, 0), device.sm_count or 132, device.name)

    @property
    def has_wide_matrix_instructions(self) -> bool:
        """wgmma (9.0) or tcgen05 (10.x, 11.0): 64 or 128 rows at once, results away from the operands."""
        return self.capability == (9, 0) or self.capability[0] in (10, 11)


@dataclass(frozen=True, slots=True)
class Program:
    """One Triton function bound to everything but its tensors.

    `arguments` are the Triton types of the run-time arguments in order: `*bf16` for a pointer (16-byte
    aligned), `i32:16` for an integer known to be a multiple of 16, `i32` for one that is not specialized.
    `weights_per_iteration` is how many weights one pass of the innermost loop consumes in one program.
    """

    function: Any
    grid: tuple[int, int, int]
    arguments: tuple[str, ...]
    constants: Mapping[str, int | float | bool | str]
    num_warps: int
    num_stages: int
    weights_per_iteration: int | None = None
    options: Mapping[str, int] = field(default_factory=dict)

    @property
    def compile_options(self) -> dict[str, int]:
        """Options of a launch and of a compilation ahead of time alike."""
        shape = {"num_warps": self.num_warps, "num_stages": self.num_stages}
        return {**shape, "enable_fp_fusion": FP_FUSION, **self.options}

    def launch(self, *arguments: Any) -> None:
        """Start the program on the current stream with its run-time arguments."""
        self.function[self.grid](*arguments, **self.constants, **self.compile_options)

    def config(self) -> dict[str, str | int | float | bool]:
        """How this kernel was configured, for the record of a measurement."""
        return {**self.constants, "num_warps": self.num_warps, "num_stages": self.num_stages, **self.options}


@dataclass(frozen=True, slots=True)
class CudaProgram:
    """A kernel in CUDA C++: its file below quantroof/kernels, its name there, and the compiler's options."""

    source: str
    name: str
    num_warps: int
    weights_per_iteration: int | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineCode:
    """What a kernel promises of its machine code, for `quantroof compile` and the golden table.

    `cases` are the ids it is compiled for. `expects` is the instruction class per architecture (a key like
    `sm_90a`), or two where versions of a compiler differ (`matrix:IMMA|UTCIMMA`); an architecture that the
    kernel's own check skips needs no entry. `budget` limits the SASS instructions per weight of (case,
    architecture) where they decide whether memory bandwidth can be reached.
    `tuning` names the family whose tilings are shared, and lists the tilings worth timing for a case. `also`
    lists what a call launches beside its product, as where activations are quantized first.
    """

    cases: tuple[str, ...]
    program: Callable[[Case, Target], Program | CudaProgram]
    expects: Mapping[str, str]
    budget: Mapping[tuple[str, str], float] = field(default_factory=dict)
    tuning: tuple[str, Callable[[Case, Target], list[Any]]] | None = None
    also: Callable[[Case], tuple[Program, ...]] = lambda _case: ()
    not_portable: str | None = "nobody declared its device code portable"
    """Why it is not compiled for AMD's GPUs; None for device code without NVIDIA's assembly."""

    def programs(self, case: Case, target: Target) -> tuple[Program | CudaProgram, ...]:
        """Everything that a call of the kernel launches."""
        return (self.program(case, target), *self.also(case))

    def budget_of(self, case: str, arch: str) -> float | None:
        """The most instructions allowed per weight, or None if the count is only recorded."""
        return self.budget.get((case, arch))
