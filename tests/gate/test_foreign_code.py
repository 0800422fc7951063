"""Foreign Triton kernels and CUDA C++ in `gate select`: compared by machine code, found without a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quantroof.cli.call_options import suite_text
from quantroof.cli.gate.select import command as select_command
from quantroof.gate.changed import Comparison
from quantroof.gate.fingerprint_process import rows_of
from quantroof.gate.fingerprints import _with_code
from quantroof.gate.sides import Side
from quantroof.kernels.calls.call import Call

ROOT = Path(__file__).parent.parent.parent
KERNEL = """import torch
import triton
import triton.language as tl
from quantroof.declare import bench

FACTOR = tl.constexpr(2.0)
DEVICE = triton.runtime.driver.active.get_active_torch_device()


@triton.jit
def helper(v):
    return v * FACTOR


@triton.jit
def scale_kernel(x, y, n, BLOCK: tl.constexpr, EVEN: tl.constexpr):
    o = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + o) if EVEN else tl.load(x + o, o < n)
    tl.store(y + o, helper(v) + 1.0, o < n)


@bench(args=["x: bf16[N]"], axes=["N=4096"], dtype="bf16")
def scale(x):
    \"\"\"Twice and one.\"\"\"
    y = torch.empty_like(x)
    n = x.numel()
    scale_kernel[(triton.cdiv(n, 1024),)](x, y, n, BLOCK=1024, EVEN=True, num_warps=4, num_stages=2)
    return y
"""
CUDA = """// doubles
extern "C" __global__ void twice(float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= 2.0f;
}
"""
HOST = """import cupy_that_is_not_installed
KERNEL = "twice.cu"
def twice(x):
    cupy_that_is_not_installed.launch(KERNEL, (8,), (128,), x)
    return x
"""
Versions = dict[str, str]
# What is replaced in the kernel file, by what, and the first words of the difference.
PLANTED: list[tuple[str, str, str]] = [
    ("constexpr(2.0)", "constexpr(3.0)", "machine code"),
    ("+ 1.0, o < n", "+ 2.0, o < n", "machine code"),
    ("return v * FACTOR", "return v * v", "machine code"),
    ("BLOCK=1024", "BLOCK=2048", "BLOCK 1024 -> 2048"),
    ("EVEN=True", "EVEN=False", "EVEN True -> False"),
    ("num_warps=4", "num_warps=8", "warps 4 -> 8"),
    ("num_stages=2", "num_stages=3", "stages 2 -> 3"),
    ("triton.cdiv(n, 1024),", "triton.cdiv(n, 512),", "grid [4] -> [8]"),
    ("(triton.cdiv(n, 1024),)", "(triton.cdiv(n, 1024), 2)", "grid [4] -> [4, 2]"),
    ("    n = x.numel()", "    n = x.numel() - 1", 'arguments ["*bf16:16", "*bf16:16", "i32:16"] ->'),
    ("empty_like(x)", "empty_like(x, dtype=torch.float32)", 'arguments ["*bf16:16", "*bf16:16"'),
    ("(x, y, n, BLOCK=", "(x[1:], y, n, BLOCK=", 'arguments ["*bf16:16", "*bf16:16"'),
    ("    return y", "    return y + 1", "operators of torch between the launches"),
    (
        "    return y",
        "    scale_kernel[(4,)](y, y, n, BLOCK=1024, EVEN=True)\n    return y",
        "launches 1 -> 2",
    ),
    ("torch.empty_like", "torch.zeros_like", "operators of torch between the launches"),
    ("@triton.jit\ndef scale", "@triton.jit(do_not_specialize=['n'])\ndef scale", "arguments"),
    ("    y = torch", "    float(x[0])\n    y = torch", "source (not traced:"),
]
QUICK = (0, 3, 7)
UNCHANGED = [
    ("    return y", "    # a comment\n    return y"),
    ('"""Twice and one."""', '"""Another text."""'),
    ("    y = torch", "\n\n    y = torch"),
    ("n = x.numel()", "n = x.shape[0]"),
]


def _rows(folder: Path, file: str, function: str) -> dict[str, Any]:
    call = {"function": f"{folder / file}:{function}", "name": function, "args": ["x: bf16[N]"],
            "axes": ["N=4096"], "dtype": "bf16"}  # fmt: skip
    case = "call/" + f"{function}/bf16/N=4096"
    out = folder / "out"
    out.mkdir()
    rows = {
        name: row
        for _, name, row in rows_of("sm_90a", [(case, f"{Path(file).stem}.{function}")], out, [call])
    }
    return _with_code(rows, out, "sm_90a")[f"{Path(file).stem}.{function}"]


def _differences(before: Any, now: Any, versions: tuple[Versions, Versions] = ({}, {})) -> list[str]:
    base, ours = (Side("s", sys.executable, ROOT, ROOT, (), {}, own, {}) for own in versions)
    return Comparison(base, ours).differences("mine.scale", before, now)


def _scale(folder: Path, old: str = "", new: str = "") -> dict[str, Any]:
    assert old in KERNEL
    folder.mkdir()
    (folder / "mine.py").write_text(KERNEL.replace(old, new) if old else KERNEL)
    return _rows(folder, "mine.py", "scale")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The row of the unchanged kernel."""
    pytest.importorskip("triton")
    return _scale(tmp_path_factory.mktemp("base") / "p")


def _marked(place: int) -> Any:
    old, new, words = PLANTED[place]
    marks = () if place in QUICK else (pytest.mark.long,)
    return pytest.param(old, new, words, marks=marks, id=f"{place}: {words}")


@pytest.mark.parametrize(("old", "new", "words"), [_marked(i) for i in range(len(PLANTED))])
def test_a_planted_change_of_a_foreign_kernel_is_named(
    tmp_path: Path, base: dict[str, Any], old: str, new: str, words: str
) -> None:
    """Constants, helpers, grid, warps, stages, alignment, types, operators and launches."""
    now = _scale(tmp_path / "now", old, new)

    assert any(one.startswith(words) for one in _differences(base, now)), _differences(base, now)


def test_views_by_index_are_those_of_torch() -> None:
    """Where a torch without CUDA refuses an index, the same elements are chosen."""
    torch = pytest.importorskip("torch")
    from quantroof.kernels.calls.indexing import ViewIndexing

    x = torch.arange(24).reshape(2, 3, 4)
    indices = (
        1,
        slice(1, None),
        (0, ..., -1),
        (None, slice(None), 2),
        (..., None, slice(0, 4, 2)),
        (1, 2, 3),
    )
    with ViewIndexing():
        views = [x[index] for index in indices]
        written = x.clone()
        written[:, 1] = 0
    expected = x.clone()
    expected[:, 1] = 0

    assert all(torch.equal(view, x[index]) for view, index in zip(views, indices, strict=True))
    assert [view.stride() for view in views] == [x[index].stride() for index in indices]
    assert torch.equal(written, expected)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"triton": "3.8.0"}, {"triton": "3.9.0"}, "triton 3.8.0 -> 3.9.0"),
        ({"torch": "2.12.0"}, {"torch": "2.13.0"}, "torch 2.12.0 -> 2.13.0"),
        ({}, {"cupy-cuda13x": "14.0.0"}, "cupy-cuda13x absent -> 14.0.0"),
    ],
)
def test_a_planted_library_version_is_named(
    base: dict[str, Any], before: Versions, now: Versions, words: str
) -> None:
    """Versions are in the key of functions with machine code as well."""
    assert _differences(base, base, (before, now)) == [words]


@pytest.mark.parametrize(
    ("old", "new"), [UNCHANGED[0], *(pytest.param(*one, marks=pytest.mark.long) for one in UNCHANGED[1:])]
)
def test_a_change_without_an_effect_on_the_gpu_is_not_selected(
    tmp_path: Path, base: dict[str, Any], old: str, new: str
) -> None:
    """Comments, docstrings, line numbers, and host code that launches the same."""
    assert _differences(base, _scale(tmp_path / "now", old, new)) == []


def test_cuda_cpp_that_a_file_names_is_compared_by_machine_code(tmp_path: Path) -> None:
    """A comment is not a change; a constant is. Host code that cannot be traced counts by its source."""
    rows = {}
    for name, old, new in (
        ("base", "", ""),
        ("a", "// doubles", "// doubles every value\n"),
        ("b", "2.0f", "3.0f"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mine.py").write_text(HOST)
        (folder / "twice.cu").write_text(CUDA.replace(old, new) if old else CUDA)
        rows[name] = _rows(folder, "mine.py", "twice")

    assert "code" in rows["base"]["native"][0], rows["base"]
    assert _differences(rows["base"], rows["a"]) == []
    changed = _differences(rows["base"], rows["b"])
    assert [one for one in changed if "->" not in one] == ["twice.cu: machine code"]


@pytest.mark.parametrize("line", ["#ifdef FAST\n#endif", "template <class T> __global__ void g(T *x) {}"])
def test_code_that_a_build_decides_is_compared_by_its_text(tmp_path: Path, line: str) -> None:
    """Conditionals and templates may hold code that is not compiled here."""
    (tmp_path / "mine.py").write_text(HOST)
    (tmp_path / "twice.cu").write_text(f"{CUDA}{line}\n")

    assert "text" in _rows(tmp_path, "mine.py", "twice")["native"][0]


@pytest.mark.long
def test_select_in_a_foreign_repository_names_the_kernel_and_keeps_its_fingerprints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A planted block is named; what was compiled is kept, so that going back compiles nothing."""
    pytest.importorskip("triton")
    call = Call(function="mine.py:scale", name="scale", args=("x: bf16[N]",), axes=("N=4096",), dtype="bf16")
    project = tmp_path / "project"
    project.mkdir()
    (project / "mine.py").write_text(KERNEL)
    (project / "benchmarks.toml").write_text(suite_text(call))
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Both sides have this interpreter: two processes that name the versions would take seconds.
    monkeypatch.setattr("quantroof.gate.sides._ask", lambda *_: (ROOT / "quantroof", {}))
    git = ("git", "-c", "user.email=a@b", "-c", "user.name=a")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "one")):
        subprocess.run((*git, *words), check=True)
    select = ["--base", "HEAD", "--suite", "benchmarks.toml"]
    (project / "mine.py").write_text(KERNEL.replace("BLOCK=1024", "BLOCK=512"))

    select_command.main(args=[*select, "--out", "-"], standalone_mode=False)
    changed = capsys.readouterr().out
    assert "BLOCK 1024 -> 512" in changed
    assert changed.rstrip().endswith("call/scale/bf16/N=4096 mine.scale")
    assert len(list((tmp_path / "cache" / "quantroof" / "select").glob("*.json"))) == 2
    (project / "mine.py").write_text(KERNEL)
    monkeypatch.setattr(
        "quantroof.gate.fingerprints._asked", None
    )  # both sides are kept: nothing is compiled

    select_command.main(args=select, standalone_mode=False)
    assert capsys.readouterr().out.startswith("0 of 1 cases and kernels differ")
