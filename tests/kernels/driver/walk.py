"""Launches Triton kernels of ours up to a stand-in driver, and prints a line of JSON per check.

Run as `python walk.py [KERNEL=argument|box|compilation ...]`: all kernels, or some with planted faults.
The stand-in must be found as libcuda.so.1. Everything above the driver is real: the JIT, the launcher, the
encoding of tensor maps.
"""

from __future__ import annotations

import argparse
import ctypes
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import torch
import triton
from triton.backends.nvidia.driver import CudaDriver
from triton.tools.tensor_descriptor import TensorDescriptor

from quantroof.bench.state.device_clock import stamp_programs
from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Skip
from quantroof.kernels.problem import Problem, forget_weights
from quantroof.kernels.program import Program, Target
from quantroof.kernels.samples import sample_cases
from quantroof.kernels.sass.ahead import compile_ahead

ROWS = (1, 7, 128, 300, 2048)
N, K = 1152, 1024
STREAM = 0xABC0
DEVICE = Device(
    kind="cuda", index=0, name="NVIDIA H200", compute_capability="9.0", sm_count=132, llc_bytes=60 << 20
)
_ROOM = 1 << 20


class StandInDriver(CudaDriver):  # type: ignore[misc]
    """Triton's driver for NVIDIA, told by no torch which device is current."""

    def __init__(self) -> None:
        super().__init__()
        self.get_device_capability = lambda _device=0: (9, 0)
        self.get_current_stream = lambda _device=0: STREAM
        self.get_current_device = lambda: 0
        self.set_current_device = lambda _device: None


class Compilations:
    """Keys of what was compiled or taken from the disk cache, first ahead of time and then by a launch."""

    def __init__(self) -> None:
        self.ahead: set[str] = set()
        self.again: list[str] = []
        self.is_ahead = False

    def __call__(self, *, src: Any, metadata: dict[str, Any], **_: Any) -> None:
        """Triton's listener: one call per compilation, also where the disk cache had it."""
        if self.is_ahead:
            self.ahead.add(metadata["hash"])
        elif metadata["hash"] not in self.ahead:
            self.again.append(src.name)


@cache
def _library() -> Any:
    library = ctypes.CDLL("libcuda.so.1")
    library.standin_take.restype = ctypes.c_size_t
    library.standin_take.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return library


def _taken() -> list[str]:
    """What the driver was asked since the last time."""
    buffer = ctypes.create_string_buffer(_ROOM)
    size = _library().standin_take(buffer, _ROOM)
    return buffer.raw[:size].decode().splitlines()


def checks(names: list[str]) -> Iterator[tuple[Kernel, Case]]:
    """Every Triton kernel with every scheme at every M that it takes."""
    for kernel in registry.load().kernels.values():
        if kernel.provider != "triton" or (names and kernel.name not in names):
            continue
        for case in (case for m in ROWS for case in sample_cases(kernel, m, N, K)):
            if kernel.made_for(case, DEVICE) and kernel.check(case, DEVICE) is None:
                yield kernel, case


def launched(kernel: Kernel, case: Case, seen: Compilations) -> dict[str, Any]:
    """One call of a kernel: what the driver was asked, and what was not compiled ahead."""
    assert kernel.machine_code is not None, f"{kernel.name} is not compiled ahead"
    seen.is_ahead, seen.again = True, []
    for program in kernel.machine_code.programs(case, Target.of(DEVICE)):
        compile_ahead(program, "sm_90a")
    seen.is_ahead = False
    prepared = kernel.build(Problem(case, DEVICE))
    assert not isinstance(prepared, Skip), prepared.reason
    _taken()
    prepared.call(*prepared.weights)
    return _result(seen)


def _clock(seen: Compilations) -> dict[str, Any]:
    """The programs that stamp the device's clock."""
    seen.is_ahead, seen.again = True, []
    for program in stamp_programs(132):
        compile_ahead(program, "sm_90a")
    seen.is_ahead = False
    stamps = torch.zeros(2, 132, 2, dtype=torch.int64)
    _taken()
    for program in stamp_programs(132):
        program.launch(stamps)
    return _result(seen)


def _result(seen: Compilations) -> dict[str, Any]:
    asked = _taken()
    starts = [line for line in asked if line.startswith("launch")]
    return {
        "launches": len(starts),
        "compiled_again": seen.again,
        "refused": [line for line in asked if not line.endswith("rule=-")],
        "foreign_stream": [line for line in starts if f"stream={STREAM:#x}" not in line],
    }


@contextmanager
def _planted(fault: str | None) -> Iterator[None]:
    """Break the launches of a kernel in one way."""
    launch, from_tensor = Program.launch, TensorDescriptor.from_tensor

    def wrong_argument(self: Program, *arguments: Any) -> None:
        launch(self, *arguments[:-1], "no number")

    def more_stages(self: Program, *arguments: Any) -> None:
        launch(replace(self, num_stages=self.num_stages + 1), *arguments)

    def wide_box(tensor: Any, block: Any) -> Any:
        return from_tensor(tensor, [512, *block[1:]])

    faults: dict[str, AbstractContextManager[object]] = {
        "argument": patch.object(Program, "launch", wrong_argument),
        "compilation": patch.object(Program, "launch", more_stages),
        "box": patch.object(TensorDescriptor, "from_tensor", staticmethod(wide_box)),
    }
    with faults[fault] if fault else nullcontext():
        yield


def main() -> None:
    """Walk over the kernels."""
    parser = argparse.ArgumentParser()
    parser.add_argument("plants", nargs="*")
    plants = dict(plant.split("=") for plant in parser.parse_args().plants)
    torch.set_num_threads(1)
    Problem.torch_device = property(lambda _: torch.device("cpu"))  # type: ignore[assignment,method-assign]
    triton.runtime.driver.set_active(StandInDriver())
    seen = Compilations()
    triton.knobs.compilation.listener = seen
    if not plants:
        print(json.dumps({"check": "device clock", **_clock(seen)}), flush=True)
    for kernel, case in checks(list(plants)):
        try:
            with _planted(plants.get(kernel.name)):
                found = launched(kernel, case, seen)
        except Exception as error:  # noqa: BLE001 - what a plant or a defect raises is the finding
            found = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps({"check": f"{kernel.name} {case.id}", **found}), flush=True)
        forget_weights() if case.m == ROWS[-1] else None


if __name__ == "__main__":
    main()
