"""The hash of a kernel's source: what changes it, what does not, and for a checkout of another revision."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.kernels.kernel import Kernel, Prepared
from quantroof.kernels.problem import Problem
from quantroof.kernels.registry import load
from quantroof.kernels.sources import PACKAGE, kernel_sources

_FILES = {
    "kernels/linear/first.py": """
        from quantroof.kernels.kernel import Kernel
        from quantroof.kernels.linear.helper import split
        def program():
            from quantroof.kernels.linear.device import code
        """,
    "kernels/linear/second.py": "from quantroof.kernels.linear.helper import split",
    "kernels/linear/helper.py": "def split(): return 1",
    "kernels/linear/device/code.py": "import quantroof.kernels.device.numerics",
    "kernels/device/numerics.py": "def unpack(): return 2",
    "kernels/registry.py": "class Kernel: pass",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two kernels that share a helper, one of them with device code."""
    for name, text in _FILES.items():
        path = tmp_path / "quantroof" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()))
    return tmp_path / "quantroof"


def _hashes(package: Path) -> dict[str, str]:
    def declared(name: str) -> Kernel:
        def build(problem: Problem) -> Prepared:
            raise AssertionError

        build.__module__ = f"quantroof.kernels.linear.{name}"
        return Kernel(name, "lab", (), build)

    return kernel_sources([declared("first"), declared("second")], package)


def _changed(package: Path, file: str, text: str) -> set[str]:
    before = _hashes(package)
    (package / file).write_text(text)
    after = _hashes(package)
    return {name for name in before if before[name] != after.get(name)}


@pytest.mark.parametrize(
    ("file", "kernels"),
    [
        ("kernels/linear/first.py", {"first"}),
        ("kernels/linear/helper.py", {"first", "second"}),
        ("kernels/linear/device/code.py", {"first"}),
        ("kernels/device/numerics.py", {"first"}),
        ("kernels/registry.py", set()),
    ],
)
def test_code_counts_where_it_is_used(package: Path, file: str, kernels: set[str]) -> None:
    """Device code and helpers count for the kernels that import them; the frame of all kernels does not."""
    text = (package / file).read_text()

    assert _changed(package, file, f"{text}\nVARIANT = 1\n") == kernels


def test_comments_and_formatting_do_not_count(package: Path) -> None:
    """A comment more, a blank line more, and every hash is as it was."""
    text = (package / "kernels/linear/helper.py").read_text()

    assert _changed(package, "kernels/linear/helper.py", f"# a comment\n\n{text}\n") == set()


def test_cuda_sources_of_the_folder_count(package: Path) -> None:
    """C++ device code is not imported, so all of a folder's counts for its kernels."""
    assert _changed(package, "kernels/linear/device/code.cu", "__global__ void f() {}") == {"first", "second"}


def test_a_kernel_that_is_not_there_has_no_hash(package: Path) -> None:
    """An older revision may lack it: then it is absent, not equal."""
    (package / "kernels/linear/first.py").unlink()

    assert set(_hashes(package)) == {"second"}


def test_every_shipped_kernel_has_a_hash() -> None:
    """None of them is declared where its files cannot be found."""
    kernels = load().kernels

    assert set(kernel_sources(kernels.values(), PACKAGE)) == set(kernels)
