"""Kernels from other packages: there when installed, a recorded reason when not, and found by entry point."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from quantroof.bench.correctness import check
from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Device
from quantroof.kernels import foreign, registry
from quantroof.kernels.cases import Case
from quantroof.kernels.foreign import load_file
from quantroof.kernels.kernel import BrokenCheck, Prepared
from quantroof.kernels.packing import gptq_words
from quantroof.kernels.problem import Problem

_CPU = Device(kind="cpu", index=0, name="cpu")
_ADAPTERS = {"bitsandbytes": "bitsandbytes_kernels", "gemlite": "gemlite_int4", "humming": "humming_int4"}


@pytest.fixture
def _fresh_registry() -> Iterator[None]:
    """The registry read anew for this test, and again after it."""
    registry.load.cache_clear()
    yield
    registry.load.cache_clear()


@pytest.mark.parametrize(("package", "module"), _ADAPTERS.items())
def test_an_adapter_is_there_or_says_what_to_install(package: str, module: str) -> None:
    """Installed: its provider has kernels. Missing: the registry holds a reason with the command."""
    found = registry.load()
    if find_spec(package):
        assert package in found.providers
    else:
        assert "pip install" in found.broken[f"quantroof.kernels.linear.{module}"]
        assert package not in found.providers


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("m", [1, 5])
def test_bitsandbytes_reads_our_nf4(m: int) -> None:
    """Our codes and scales in its layout give the product of the same values."""
    operation = "gemv" if m == 1 else "gemm"
    problem = Problem(Case.parse(f"{operation}/nf4.g64-bf16-bf16/m{m}-n96-k256"), _CPU)
    prepared = registry.load().kernels["bitsandbytes.nf4"].build(problem)
    assert isinstance(prepared, Prepared)
    accuracy = check(prepared, problem)
    assert accuracy.frobenius <= accuracy.tolerance


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("m", [5, 32])
def test_bitsandbytes_reads_our_int8(m: int) -> None:
    """LLM.int8() on our codes and scales gives the product of the same values, quantizing included."""
    case = Case.parse(f"gemm/int8.channel-int8.token.from_bf16-bf16/m{m}-n96-k512")
    problem = Problem(case, _CPU)
    prepared = registry.load().kernels["bitsandbytes.llm_int8"].build(problem)
    assert isinstance(prepared, Prepared)
    accuracy = check(prepared, problem)
    assert accuracy.frobenius <= accuracy.tolerance


_THIRD_PARTY = """
import torch
from quantroof.kernels.kernel import Kernel, Prepared

def build(problem):
    x = problem.arriving
    return Prepared((problem.weight.codes,), lambda w: x @ w.T)

KERNELS = (Kernel("acme.matmul", "acme", ("bf16",), build),)
"""


@pytest.mark.usefixtures("_fresh_registry")
@pytest.mark.parametrize("works", [True, False])
def test_an_installed_package_registers_by_entry_point(
    works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package with the entry point gives kernels; one that cannot be imported gives a reason."""
    name = "acme_kernels" if works else "acme_missing"
    (tmp_path / "acme_kernels.py").write_text(_THIRD_PARTY)
    _declare(tmp_path, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = registry.load()
    if not works:
        assert "acme_missing" in found.broken["acme_missing"]
        return
    problem = Problem(Case.parse("gemm/bf16-bf16-bf16/m3-n32-k64"), _CPU)
    prepared = found.kernels["acme.matmul"].build(problem)
    assert isinstance(prepared, Prepared)
    assert check(prepared, problem).frobenius < 8e-3
    sys.modules.pop("acme_kernels")


@pytest.mark.usefixtures("_fresh_registry")
def test_an_installed_package_that_exits_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that calls sys.exit at import costs its own kernels; everybody else's are found."""
    (tmp_path / "acme_leaving.py").write_text("import sys\nsys.exit(0)\n")
    _declare(tmp_path, "acme_leaving")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = registry.load()

    assert found.broken["acme_leaving"] == "calls sys.exit(0) when it is imported"
    assert "torch.linear" in found.kernels


def _declare(folder: Path, module: str) -> None:
    """Make a distribution whose entry point names the module."""
    info = folder / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[quantroof.kernels]\nacme = {module}\n")


@pytest.mark.parametrize("code", ["0", "1", "'bye'"])
def test_a_file_that_exits_is_an_error_in_one_line(code: str, tmp_path: Path) -> None:
    """`sys.exit` in a user's kernel file: a usage error that names the file and what it called."""
    file = tmp_path / "leaving.py"
    file.write_text(f"import sys\nsys.exit({code})\n")

    with pytest.raises(UsageError) as error:
        load_file(f"{file}:KERNEL")

    assert str(error.value) == f"{file}: calls sys.exit({code}) when it is imported"
    assert error.value.exit_code == 2


def test_foreign_code_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import is refused in one line, a `check` is recorded as broken; the caller's own alarm is kept."""
    monkeypatch.setattr(foreign, "IMPORT_LIMIT_S", 0.2)
    monkeypatch.setattr(foreign, "CHECK_LIMIT_S", 0.05)
    endless, checking = tmp_path / "endless.py", tmp_path / "slow.py"
    endless.write_text("while True:\n    pass\n")
    head = "from quantroof.kernels.kernel import Kernel\ndef check(*_):\n    while True: pass\n"
    checking.write_text(f'{head}KERNEL = Kernel("k", "x", ("fp32",), print, check)\n')
    alarm = signal.getsignal(signal.SIGALRM)

    with pytest.raises(UsageError, match=r"cannot be imported: TimeoutError: not done after 0.2 s"):
        load_file(f"{endless}:KERNEL")
    skip = load_file(f"{checking}:KERNEL").check(Case.parse("gemv/fp32-fp32-fp32/m1-n32-k64"), _CPU)

    assert skip is not None
    assert skip.reason == "its check raises TimeoutError: not done after 0.05 s"
    assert signal.getsignal(signal.SIGALRM) == alarm


def test_gptq_words_hold_eight_rows_of_k() -> None:
    """Nibble j of word i of a column is the code at K = 8 i + j."""
    codes = torch.randint(0, 16, (3, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    packed = gptq_words(codes)
    assert packed.shape == (4, 3)
    for n in range(3):
        for k in range(32):
            assert int(packed[k // 8, n]) >> (4 * (k % 8)) & 15 == int(codes[n, k])


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ('Kernel("bad</script>", "x", ("fp32",), build)', "is not letters, digits"),
        ('Kernel("k", "x", ("nosuchscheme",), build)', "unknown format 'nosuchscheme'"),
        ('Kernel("k", "x", ("fp32",), build, operations=("zzz",))', "operation 'zzz'"),
        ('Kernel("k", "x", "fp32", build)', "not a tuple of strings"),
        ('Kernel("k", "x", ("fp32",), None)', "build of kernel k cannot be called"),
        ("7", "is not a Kernel but a int"),
        ("(_ for _ in ()).throw(KeyboardInterrupt())", "cannot be imported: KeyboardInterrupt"),
    ],
)
def test_a_declaration_is_validated_when_it_is_loaded(tmp_path: Path, declaration: str, words: str) -> None:
    """What a foreign file declares is refused in one line that names the field."""
    file = tmp_path / "declared.py"
    head = "from quantroof.kernels.kernel import Kernel\ndef build(problem): ...\n"
    file.write_text(f"{head}KERNEL = {declaration}\n")
    with pytest.raises(UsageError, match=re.escape(words)) as refusal:
        load_file(f"{file}:KERNEL")

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("lambda c, d: 1 / 0", "its check raises ZeroDivisionError: division by zero"),
        ("lambda c, d: 'no'", "its check returns str, not a Skip with a reason or None"),
    ],
)
def test_a_check_that_fails_is_recorded(tmp_path: Path, check: str, reason: str) -> None:
    """A foreign `check` that raises or returns something else is a reason, not a crash of the plan."""
    file = tmp_path / "checking.py"
    head = "from quantroof.kernels.kernel import Kernel\n"
    file.write_text(f'{head}KERNEL = Kernel("k", "x", ("fp32",), print, {check})\n')
    skip = load_file(f"{file}:KERNEL").check(Case.parse("gemv/fp32-fp32-fp32/m1-n32-k64"), _CPU)

    assert isinstance(skip, BrokenCheck)
    assert skip.reason == reason
