"""What the machine code of the skinny path must show: wide asynchronous loads, and the fence of split-K."""

from __future__ import annotations

import re

import pytest

from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.program import Program, Target
from quantroof.kernels.sass.ahead import compile_ahead
from quantroof.kernels.sass.batch import functions_of
from quantroof.kernels.sass.table import device_of


def _opcodes(case: str, kernel: str, arch: str) -> list[str]:
    code = registry.load().kernels[kernel].machine_code
    assert code is not None
    program = code.program(Case.parse(case), Target.of(device_of(arch)))
    assert isinstance(program, Program)
    assert program.constants["SPLIT"] != 1
    ((function,),) = functions_of([compile_ahead(program, arch)[0]], arch)
    return [i.opcode for i in function.instructions]


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_120a"])
def test_split_k_orders_stores_before_the_counter_and_the_counter_before_loads(arch: str) -> None:
    """Stores, barrier, fence to the GPU, atomic, barrier, loads from L2, counter back to zero: in order."""
    names = _opcodes("gemv/int4.g128-bf16-bf16/m1-n4096-k4096", "triton.int4", arch)
    interesting = [
        re.sub(r"\.(E|ALL|STRONG|128|64|DEFER_BLOCKING)\b", "", name)
        for name in names
        if name.startswith(("STG", "BAR", "MEMBAR.ALL.GPU", "ATOMG", "CCTL.IVALL", "LDG.E.128.STRONG"))
    ]
    order = "".join(
        {"STG": "s", "BAR.SYNC": "b", "MEMBAR.GPU": "f", "ATOMG.ADD.GPU": "a", "CCTL.IVALL": "i", "LDG.GPU":
        "l",
         "ATOMG.EXCH.GPU": "x"}[name]
        for name in interesting
    )  # fmt: skip
    assert re.search(r"s+b+faib+l+x", order), order


@pytest.mark.parametrize("kernel", ["triton.int4", "triton.int4_zp"])
def test_everything_cold_is_loaded_asynchronously(kernel: str) -> None:
    """Weights by 16 bytes, scales and zeros by 4: no plain load waits for DRAM inside the loop."""
    fmt = {"triton.int4": "int4.g128", "triton.int4_zp": "int4.g128.zp"}[kernel]
    names = _opcodes(f"gemv/{fmt}-bf16-bf16/m1-n4096-k4096", kernel, "sm_90a")
    assert names.count("LDGSTS.E.BYPASS.128") >= 8
    assert "LDGSTS.E" in names
    plain = [n for n in names if n.startswith("LDG.") and "STRONG" not in n]
    assert plain == []
