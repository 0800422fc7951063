"""os._exit in foreign code: a command that ends without a word would look like a run that went well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantroof.kernels.cases import Case
from quantroof.kernels.foreign import guarded, load_file
from quantroof.kernels.kernel import BrokenCheck
from quantroof.kernels.schemes import SCHEMES
from tests.builders import cpu_device
from tests.commands import call

_KERNEL = """import os
from os import _exit as kept
from quantroof.kernels.kernel import Kernel, Prepared
{at_import}
def check(case, device):
    {in_check}
def build(problem):
    return Prepared((problem.weight.codes,), lambda w: w)
KERNEL = Kernel("mine", "mine", ("bf16",), build, check)
"""


def _file(folder: Path, at_import: str = "", in_check: str = "return None") -> str:
    (folder / "mine.py").write_text(_KERNEL.format(at_import=at_import, in_check=in_check))
    return f"{folder / 'mine.py'}:KERNEL"


def test_an_exit_during_the_import_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what happened and ends with 2, not with the code that the file chose."""
    reference = _file(tmp_path, at_import="os._exit(3)")

    assert call("run", "--kernel", reference, "--dry-run", "--device", "cpu") == 2
    assert capsys.readouterr().err == (f"error: {tmp_path}/mine.py: calls os._exit(3) when it is imported\n")


def test_an_exit_in_a_check_breaks_that_kernel_only(tmp_path: Path) -> None:
    """The plan goes on, and says why the kernel is not in it."""
    answer = load_file(_file(tmp_path, in_check="os._exit(3)")).check(
        Case.linear(SCHEMES["bf16"], 1, 256, 256), cpu_device()
    )

    assert isinstance(answer, BrokenCheck)
    assert answer.reason == "its check raises ProcessExit: calls os._exit(3)"


def test_a_process_that_the_import_forks_may_end_itself(tmp_path: Path) -> None:
    """A file may ask a child something while it is imported; the child's code reaches it."""
    forked = "child = os.fork()\nif child == 0: kept(7)\nassert os.waitpid(child, 0)[1] == 7 << 8"

    assert load_file(_file(tmp_path, at_import=forked)).name == "mine"


def test_os_is_as_it_was_after_an_import() -> None:
    """A worker of this process ends by os._exit, also where the import raised."""
    before = os._exit
    with pytest.raises(Exception, match="cannot be imported"), guarded("cannot be imported", "x.py"):
        raise ValueError

    assert os._exit is before
