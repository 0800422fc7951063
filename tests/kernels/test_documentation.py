"""The documentation's examples and tables are those of the code."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from quantroof.bench.correctness import check
from quantroof.bench.suite import load
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.foreign import load_file
from quantroof.kernels.kernel import Prepared
from quantroof.kernels.problem import Problem

_ROOT = Path(__file__).parents[2]
_CPU = Device(kind="cpu", index=0, name="cpu")
_BEGIN, _END = "<!-- instructions per weight: begin -->", "<!-- instructions per weight: end -->"


def test_the_example_of_the_kernels_readme_is_a_kernel() -> None:
    """It loads by `--kernel`, refuses what it documents, and is right."""
    kernel = load_file(f"{_ROOT / 'kernels' / 'example_matmul.py'}:KERNEL")
    case = Case.parse("gemm/bf16-bf16-bf16/m5-n32-k64")
    assert kernel.made_for(case, _CPU)
    assert kernel.check(case, _CPU) is None
    refused = kernel.check(Case.parse("gemm/bf16-bf16-bf16/m5-n32-k63"), _CPU)
    assert refused is not None
    assert "multiple of 2" in refused.reason
    problem = Problem(case, _CPU)
    prepared = kernel.build(problem)
    assert isinstance(prepared, Prepared)
    accuracy = check(prepared, problem)
    assert accuracy.frobenius <= accuracy.tolerance
    assert torch.is_tensor(prepared.weights[0])


def test_the_table_of_instructions_is_the_golden_one() -> None:
    """docs/kernels.md shows what the golden tables of all Triton versions hold."""
    text = (_ROOT / "docs/kernels.md").read_text()
    shown = text[text.index(_BEGIN) + len(_BEGIN) : text.index(_END)].strip()
    assert shown == instruction_table()


def instruction_table() -> str:
    """Markdown: instructions per weight of each M = 1 kernel and architecture; sm_90a by older Tritons."""
    wanted = _gemv_rows("machine_code.json")
    older = {version: _gemv_rows(f"machine_code_{version}.json") for version in ("3.7.1", "3.6.0")}
    archs = list(dict.fromkeys(arch for _, _, arch in wanted))
    heads = [*archs, *(f"sm_90a, triton {version}" for version in older)]
    lines = ["| kernel | weight | " + " | ".join(heads) + " |", "|---|---|" + "---|" * len(heads)]
    for kernel, case in dict.fromkeys((kernel, case) for kernel, case, _ in wanted):
        now = [wanted[kernel, case, arch] for arch in archs]
        values = [*now, *(rows[kernel, case, "sm_90a"] for rows in older.values())]
        cells = " | ".join(f"{value:.2f}" for value in values)
        lines.append(f"| `{kernel}` | {Case.parse(case).weight} | {cells} |")
    return "\n".join(lines)


def _gemv_rows(name: str) -> dict[tuple[str, str, str], float]:
    """Instructions a weight by kernel, case and architecture, out of one golden table."""
    rows = json.loads((_ROOT / "tests/data" / name).read_text())["rows"]
    wanted = [r for r in rows if r["case"].startswith("gemv/") and "instructions_per_weight" in r]
    return {(r["kernel"], r["case"], r["arch"]): r["instructions_per_weight"] for r in wanted}


def test_the_suite_of_the_kernel_table_is_readable() -> None:
    """scripts/kernels.toml expands to the shapes that the targets name."""
    suite = load(str(_ROOT / "scripts/kernels.toml"))
    gpu = Device(kind="cuda", index=0, name="NVIDIA H200", compute_capability="9.0")
    ids = {case.id for case in suite.workload(gpu).cases}
    assert "gemv/int4.g128-bf16-bf16/m1-n28672-k8192" in ids
    assert "gemm/int8.channel-int8.token-bf16/m8192-n8192-k8192" in ids
