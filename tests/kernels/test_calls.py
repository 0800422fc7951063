"""Calls as text: arithmetic, axes, arguments, names of functions and the ids of cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.errors import UsageError
from quantroof.kernels.calls import functions
from quantroof.kernels.calls.arguments import parse_argument
from quantroof.kernels.calls.arithmetic import count
from quantroof.kernels.calls.axes import parse_axis
from quantroof.kernels.calls.call import Call
from quantroof.kernels.cases import CallCase, Case

SIZES = {"M": 6, "N": 4}


@pytest.mark.parametrize(
    ("text", "value"), [("2*M*N", 48), ("ceil(M/4)*N", 8), ("M**3 - max(M, N)", 210), ("-(-M) // 4", 1)]
)
def test_arithmetic_of_axes_is_computed(text: str, value: int) -> None:
    """Products, powers, rounding and parentheses mean what they mean in Python."""
    assert count(text, SIZES, "flops") == value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "M.real", "[M]", "M if N else M", "lambda: 1", "f'{M}'", "M()",
        "min", "open('x')", "True", "'2'", "M and N", "2mnk", "", "9**9**9", "2**-9999999", "1e400", "1/0",
        "M/4", "-1", "Q", "(" * 200, "1+" * 200 + "1", "min(*M)", "log2(0)", "(-1)**0.5", "M:=3", "nan",
    ],
)  # fmt: skip
def test_what_is_not_arithmetic_is_one_line_and_is_never_evaluated(text: str) -> None:
    """The error names the place; nothing is imported, called, or computed without bound."""
    with pytest.raises(UsageError, match=r"^flops: "):
        count(text, SIZES, "flops")


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("M=7", (7,)),
        ("M=1,4,1", (1, 4)),
        ("M=1:16:*4", (1, 4, 16)),
        ("M=2:8:+3", (2, 5, 8)),
        ("M=1:3", (1, 2, 3)),
    ],
)
def test_an_axis_is_a_list_or_a_range_with_its_end(text: str, sizes: tuple[int, ...]) -> None:
    """A range includes the end where it reaches it, and a size is taken once."""
    assert parse_axis(text) == ("M", sizes)


@pytest.mark.parametrize(
    "text", ["M", "M=", "M=0", "M=1:9:*1", "M=9:1", "M=1:99999:1", "2M=3", "M=a", "M=1;2"]
)
def test_a_wrong_axis_is_refused(text: str) -> None:
    """Sizes below 1, ranges that never end or hold too much, and names that are not names."""
    with pytest.raises(UsageError):
        parse_axis(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x: bf61[M]", "unknown dtype 'bf61' \\(did you mean bf16"),
        ("x: bf16[M] = normall", "unknown fill 'normall' \\(did you mean normal"),
        ("x: int32[M] = normal", "int32 cannot be filled with normal"),
        ("x = ", "is not an argument"),
        ("import os", "is not an argument"),
    ],
)
def test_a_wrong_argument_is_refused(text: str, words: str) -> None:
    """The error names the argument and the nearest word."""
    with pytest.raises(UsageError, match=words):
        parse_argument(text)


def test_a_case_of_a_call_survives_its_id() -> None:
    """The id holds name, element and axes, and reads back; the counts are the record's."""
    call = Call(
        function="torch.add", name="add", args=("x: bf16[M, N]",), axes=("M=2,3", "N=8"), dtype="bf16"
    )
    first, second = call.cases()
    again = Case.parse(second.id)

    assert first.id == "call/add/bf16/M=2,N=8"
    assert isinstance(again, CallCase)
    assert (again.m, again.n, again.k, again.sizes) == (3, 8, 1, "M=3,N=8")
    assert (second.flops, second.bytes_moved) == (0, 48)
    assert call.at(again) == second


@pytest.mark.parametrize(
    "text", ["call/", "call/a/bf16/M=0", "call/a b/bf16/fixed", "call/a/bf16/M=1,", "call/a/b"]
)
def test_what_is_not_the_id_of_a_call_is_refused(text: str) -> None:
    """One line with an example."""
    with pytest.raises(UsageError, match="is not a case id"):
        Case.parse(text)


def test_two_files_of_one_name_are_told_apart_by_their_folders() -> None:
    """Names in records are short where they can be, and never equal."""
    assert functions.names_of(("a/k.py:f", "b/k.py:f", "c/x.py:f", "torch.add")) == {
        "a/k.py:f": "a/k.f",
        "b/k.py:f": "b/k.f",
        "c/x.py:f": "x.f",
        "torch.add": "torch.add",
    }


@pytest.mark.parametrize(
    "reference", ["os.system", "torch", "torch.nn", "mine.py", "x.py:a.b.c", "torch._dynamo.x y"]
)
def test_only_files_and_functions_of_torch_can_be_named(reference: str) -> None:
    """A suite names no other module: nothing is imported by a bare name."""
    with pytest.raises(UsageError):
        functions.load(reference)


def test_the_source_of_a_function_is_its_file_and_what_that_imports_of_its_project(tmp_path: Path) -> None:
    """A change in a helper of the project changes the hash; one beside it does not."""
    from quantroof.bench.plan import call_kernels
    from quantroof.kernels.sources import kernel_sources

    (tmp_path / ".git").mkdir()
    package = tmp_path / "ops"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("A = 1\n")
    (tmp_path / "mine.py").write_text("from ops.helper import A\ndef f(x):\n    return x * A\n")
    call = Call(function=f"{tmp_path / 'mine.py'}:f", name="f", args=("x: fp32[4]",))

    def digest() -> str:
        return kernel_sources(call_kernels(call))["mine.f"]

    before = digest()
    (tmp_path / "other.py").write_text("B = 1\n")
    assert digest() == before
    (package / "helper.py").write_text("A = 2\n")
    assert digest() != before
