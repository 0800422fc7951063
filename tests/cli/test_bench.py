"""`quantroof bench` as a user calls it: what options and files declare, bad input, and the final table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quantroof.bench.suite import parse
from quantroof.cli.call_options import CallFlags, call_of, suite_text
from quantroof.errors import UsageError

ROOT = Path(__file__).parent.parent.parent
FILE = """
from quantroof.declare import bench

def add(x, y, alpha=1): ...
def exact(x): ...

@bench(args=["x: bf16[M]"], axes=["M=4"], dtype="bf16", reference="exact", flops="M")
def declared(x): ...

class Held:
    args = ["x: fp32[M, 8]"]
    axes = ["M=1:4:*2"]
    against = ["torch.relu"]
    def call(self, x): ...
    def reference(self, x): ...
"""
EMPTY = CallFlags(
    function="", arg=(), shape=(), dtype=None, axis=(), flops=None, bytes_moved=None, reference=None,
    against=(), tolerance=None, no_capture=False,
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A module with functions, a declaration and a class."""
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_shapes_give_arguments_by_the_functions_own_names(file: Path) -> None:
    """One shape per parameter; the numbers of the first one are the axes M and N."""
    flags = replace(EMPTY, function=f"{file}:add", shape=("16x64", "64"), dtype="bf16", flops="2*M*N")
    call = call_of(flags)

    assert call.args == ("x: bf16[M, N]", "y: bf16[64]")
    assert [case.id for case in call.cases()] == ["call/add/bf16/M=16,N=64"]
    assert call.cases()[0].flops == 2048


def test_a_declaration_and_a_class_need_no_options(file: Path) -> None:
    """The decorated function is the file's only declared one; a class names its own reference and rivals."""
    declared = call_of(replace(EMPTY, function=str(file)))
    held = call_of(replace(EMPTY, function=f"{file}:Held", axis=("M=2",)))

    assert (declared.name, declared.reference, declared.flops) == ("declared", f"{file}:exact", "M")
    assert held.reference == f"{file}:Held.reference"
    assert list(held.kernels) == ["mine.Held", "torch.relu"]
    assert [case.sizes for case in held.cases()] == ["M=2"], "an option replaces what the class states"


def test_a_shape_replaces_declared_sizes_and_an_axis_both(file: Path) -> None:
    """`--shape 16` of a function that declares M=4 measures 16, and `--axis` has the last word."""
    shaped = call_of(replace(EMPTY, function=f"{file}:declared", shape=("16",)))
    named = call_of(replace(EMPTY, function=f"{file}:declared", shape=("16",), axis=("M=1,2",)))

    assert [case.sizes for case in shaped.cases()] == ["M=16"]
    assert [case.sizes for case in named.cases()] == ["M=1", "M=2"]


def test_the_suite_of_a_call_reads_back_to_it(file: Path) -> None:
    """--resume and the gate read the call from the run file."""
    call = call_of(replace(EMPTY, function=f"{file}:Held"))
    suite = parse(suite_text(call), "run file")

    assert suite.workloads["gpu"].calls == (call,)
    assert suite.workloads["gpu"].cases == suite.workloads["cpu"].cases == call.cases()


BAD: list[tuple[str, dict[str, object], str]] = [
    ("mine.py:add", {}, "add: nothing gives its arguments x, y (--shape for each"),
    ("mine.py:add", {"shape": ("4",)}, "add: nothing gives its argument y (--shape for each"),
    ("mine.py:exact", {"shape": ("4",), "arg": ("y = 3",)}, "exact: has no argument y (it takes x)"),
    ("mine.py:exact", {"shape": ("4",), "against": ("add",)}, "add: nothing gives its argument y"),
    ("mine.py:add", {"shape": ("4", "4"), "arg": ("alpha = M.real",)}, "'M.real' is not arithmetic"),
    ("mine.py:exact", {"arg": ("x: int64[4] = index(N)",)}, "argument x: 'N': N is not an axis"),
    ("mine.py:exact", {"shape": ("4",), "against": ("torch.foo",)}, "torch.foo: unknown function 'foo'"),
    (
        "mine.py:exact",
        {"shape": ("4",), "against": ("torch.softmax",)},
        "takes other arguments: softmax() missing",
    ),
    ("mine.py:exact", {"shape": ("4",), "reference": "torch.nn.functional.mse_loss"}, "its argument target"),
    ("mine.py:add", {"shape": ("4", "4", "4", "4")}, "takes 3 arguments, 4 shapes are given"),
    ("mine.py:add", {"shape": ("4x?",)}, "'4x?' is not a shape"),
    ("mine.py:adds", {"shape": ("4",)}, "unknown function 'adds' (did you mean add?)"),
    ("mine.py:exact", {"shape": ("4",), "flops": "open('x')"}, "is not arithmetic"),
    ("mine.py:exact", {"shape": ("MxN",)}, "M is not an axis"),
    ("mine.py:exact", {"shape": ("4",), "dtype": "bf61"}, "unknown dtype 'bf61'"),
    ("mine.py:exact", {"shape": ("4",), "reference": "os.system"}, "does not name a function"),
    ("mine.py:exact", {"shape": ("4",), "against": ("gone.py:f",)}, "gone.py: no such file"),
    ("gone.py", {}, "no such file"),
    ("os.system", {}, "does not name a function"),
    ("torch.relu", {}, "torch.relu: is a function of torch (name one of a file"),
]


@pytest.mark.parametrize(("function", "fields", "words"), BAD, ids=[words for _, _, words in BAD])
def test_bad_input_is_one_usage_error(
    file: Path, function: str, fields: dict[str, object], words: str
) -> None:
    """A missing argument, a wrong name, or an expression that is not arithmetic; never a traceback."""
    reference = str(file.parent / function) if ".py" in function else function
    flags = replace(EMPTY, function=reference, **fields)
    with pytest.raises(UsageError) as caught:
        call_of(flags)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_of_a_function_ends_in_a_race_and_works_with_the_other_commands(tmp_path: Path) -> None:
    """On a simulated GPU the table names the rival and the roof; show, compare and export take the run."""
    (tmp_path / "mine.py").write_text("def softmax(x, dim): ...\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def quantroof(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "quantroof", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    race = (
        "--against",
        "torch.softmax",
        "--arg",
        "dim=-1",
        "--device",
        "sim:h100-sxm5-80gb",
        "--quiet",
        "--json",
    )
    done = quantroof("bench", "mine.py", "--shape", "4096x4096", "--dtype", "bf16", "--out", "run", *race)
    entry = json.loads(done.stdout)["races"][0]

    assert done.returncode == 0, done.stderr
    assert (entry["kernel"], entry["other"]) == ("mine.softmax", "torch.softmax")
    assert entry["outcome"] in ("faster", "slower", "tie")
    assert 0.5 < entry["roof_fraction"] < 1
    assert "of the roof" in quantroof("show", "run").stdout
    assert quantroof("compare", "run", "run").returncode in (0, 4)
    assert "call/softmax/bf16/M=4096,N=4096" in quantroof("export", "run", "--to", "csv", "--out", "-").stdout
