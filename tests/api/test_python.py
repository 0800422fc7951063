"""The Python interface, by the examples of its page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import quantroof as qr
from quantroof.cli.main import main
from quantroof.errors import EnvironmentMissing, UsageError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
LIGHT_S = 0.05


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two simulated runs, `runs/first` and `runs/second`."""
    place = tmp_path_factory.mktemp("python")
    for name in ("first", "second"):
        with pytest.raises(SystemExit) as ended:
            main(["run", "--device", "sim:h100-sxm5-80gb", "--shape", "4096x4096", "--m", "1,16",
                  "--format", "bf16", "--quiet", "--out", str(place / "runs" / name)])  # fmt: skip
        assert ended.value.code == 0
    return place


@pytest.mark.long
def test_the_examples_of_the_page_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example of docs/python.md runs in order, and gives what the page says."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for code in re.findall(r"(?<!-->\n)^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        exec(code, names)

    assert len(names["table"]) >= 2
    assert set(names["best"].index) == {"bf16"}
    assert names["slower"] == []
    assert names["comparison"].summary
    assert names["page"].read_text().startswith("<!doctype html>")
    assert names["summary"].read_text().startswith("#")
    assert names["h100"].bound(flops=2 * 16 * 8192 * 8192, bytes=8192 * 8192 * 2) == "memory"
    assert names["h100"].seconds(2 * 16 * 8192 * 8192, 8192 * 8192 * 2) == pytest.approx(40e-6, rel=0.02)
    assert names["measured"].basis == "measured"
    assert names["option"].verdict in ("meets", "likely")
    assert names["timed"].low_s <= names["timed"].median_s <= names["timed"].high_s
    assert names["timed"].flops_per_s == pytest.approx(2 * 16 * 256 * 256 / names["timed"].median_s)


def test_the_newest_run_is_taken_where_none_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`latest` is the run that started last, for the functions and for the commands."""
    monkeypatch.chdir(folder)

    assert qr.load().path == Path("runs/second")
    assert qr.load("runs/latest").path == Path("runs/second")


def test_the_page_names_every_public_function() -> None:
    """What the package offers is in the table of the page, and nothing else is."""
    functions = {name for name in qr.__all__ if name[0].islower()}

    assert set(re.findall(r"^\| `qr\.(\w+)\(", PAGE, re.MULTILINE)) == functions
    assert set(qr.__all__) <= set(dir(qr))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: qr.roofline("h1000"), "unknown GPU or run"),
        (lambda: qr.roofline("h100"), "several boards"),
        (lambda: qr.load("no-such-run"), "no run.jsonl here"),
        (lambda: qr.measure(len), "pass tensors of one device"),
        (lambda: qr.roofline("h100-sxm5-80gb").ridge("int3"), "unknown element"),
    ],
)
def test_a_wrong_argument_is_one_line(wrong: Any, words: str) -> None:
    """Errors are those of the command line: a UsageError with what to do."""
    with pytest.raises(UsageError, match=words):
        wrong()


@pytest.mark.parametrize("call", [lambda: qr.measure(len, SimpleNamespace(device="cpu")), qr.sniff])
def test_without_torch_it_is_one_line(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch is missing the error is that of a lacking package, and names the way to install it."""
    for name in ("torch", "torch.distributed"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(EnvironmentMissing, match=r"needs torch, which .*pip install torch"):
        call()


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that is not public does not exist."""
    with pytest.raises(AttributeError, match="nothing"):
        qr.nothing  # noqa: B018 - the access is the test


@pytest.mark.alone
def test_the_import_is_light() -> None:
    """`import quantroof` takes at most 50 ms, without torch and pandas: the best of seven."""
    code = (
        "import sys, time; start = time.perf_counter(); import quantroof; dir(quantroof)\n"
        "print(time.perf_counter() - start, any(m in sys.modules for m in ('torch', 'pandas', 'numpy')))"
    )
    runs = [subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
            for _ in range(7)]  # fmt: skip
    seconds, heavy = zip(*(run.stdout.split() for run in runs), strict=True)

    assert min(map(float, seconds)) <= LIGHT_S
    assert set(heavy) == {"False"}
