"""`quantroof run` as a user starts it: real processes, real signals, real files."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from quantroof.cli.main import main
from quantroof.records.directory import read_run
from tests.cli.processes import FAULTY, SUITE, measure, quantroof


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The directory of a whole run of the suite, and what the command printed."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "tiny.toml").write_text(SUITE)
    return folder / "run", measure(folder / "tiny.toml", folder / "run", "--cache", "cold")


def test_a_run_measures_checks_and_prints_its_directory(
    measured: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    """stdout is the directory and nothing else; progress is plain text on stderr."""
    out, done = measured

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n"
    assert "measured in" in done.stderr
    assert "torch.int4pack_cpu" not in done.stderr  # a line per case floods the log of a CI job
    assert "\x1b" not in done.stderr
    run = read_run(out)
    assert run.complete
    assert {m.status for m in run.measurements} == {"ok"}
    assert [m.key for m in run.measurements] == list(run.info.plan)
    for m in run.measurements:
        assert m.accuracy is not None
        assert m.accuracy.frobenius < m.accuracy.tolerance
        assert m.timing is not None
        assert m.timing.cache == "cold"
        assert m.timing.copies >= 2


@pytest.mark.alone
@pytest.mark.parametrize("quick", ["true", pytest.param("false", marks=pytest.mark.slow)])
def test_ceilings_of_the_cpu_are_measured(tmp_path: Path, quick: str) -> None:
    """read, write, copy, triad, and a matrix rate for each element with library kernels."""
    file = tmp_path / "one.toml"
    one_case = SUITE.replace('["fp32", "bf16", "int4-w4a16"]', '["fp32"]').replace("[1, 4]", "[1]")
    file.write_text(one_case.replace("[[sweep]]", f"quick_ceilings = {quick}\n[[sweep]]"))
    done = quantroof(
        "run", "--suite", file, "--device", "cpu", "--out", tmp_path / "run", "--seconds", "0.01"
    )

    assert done.returncode == 0, done.stderr
    ok = {(c.quantity, c.name) for c in read_run(tmp_path / "run").ceilings if c.status == "ok"}
    assert {("bandwidth", name) for name in ("read", "write", "copy", "triad")} <= ok
    assert {("matrix", name) for name in ("fp32", "bf16", "fp16", "int8")} <= ok


@pytest.mark.alone
def test_simulated_default_suite_has_all_formats_and_says_so(tmp_path: Path) -> None:
    """The whole default suite on a simulated H100: quick, every scheme, every line marked."""
    started = time.monotonic()
    done = quantroof(
        "run", "--device", "sim:h100-sxm5-80gb", "--suite", "default", "--out", tmp_path / "run", "--quiet"
    )

    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 30
    assert "SIMULATED" in done.stderr
    run = read_run(tmp_path / "run")
    assert run.info.simulated
    assert {m.status for m in run.measurements} <= {"simulated", "skipped"}
    schemes = {m.case.split("/")[1] for m in run.measurements if m.status == "simulated"}
    assert len(schemes) >= 9


def test_processes_repeat_every_case(suite: Path, tmp_path: Path) -> None:
    """Two fresh processes give two lines a case, told apart."""
    measure(suite, tmp_path / "run", "--processes", "2", "--format", "fp32")
    run = read_run(tmp_path / "run")

    assert Counter(m.process for m in run.measurements) == {0: 2, 1: 2}
    assert len(run.done()) == 4


def test_dry_run_prints_the_plan_as_one_json_document(suite: Path) -> None:
    """stdout is one JSON document with the estimate, and nothing is written."""
    done = quantroof("run", "--suite", suite, "--device", "cpu", "--dry-run", "--json")
    plan = json.loads(done.stdout)

    assert plan["schema_version"] == 1
    assert plan["estimate_s"] > 0
    assert [len(d["cases"]) for d in plan["devices"]] == [6]


def test_one_case_and_the_layers_of_a_model_need_no_file(suite: Path) -> None:
    """`--case` plans that case alone; `--model` and `--m` the model's quantized layers at these batches."""
    case = "gemm/bf16-bf16-bf16/m4-n512-k1024"
    options = ("run", "--suite", suite, "--device", "cpu", "--dry-run", "--json")
    one = json.loads(quantroof(*options, "--case", case).stdout)
    model = ("--model", "qwen3-8b", "--m", "2", "--format", "bf16")
    layers = json.loads(quantroof(*options, *model).stdout)

    assert [planned["case"] for planned in one["devices"][0]["cases"]] == [case]
    assert [planned["case"].rpartition("/")[2] for planned in layers["devices"][0]["cases"]] == [
        "m2-n6144-k4096",
        "m2-n4096-k4096",
        "m2-n24576-k4096",
        "m2-n4096-k12288",
    ]


def test_a_wrong_kernel_is_a_finding(suite: Path, tmp_path: Path) -> None:
    """Exit code 1, the kernel's error in the record, never a time."""
    done = measure(suite, tmp_path / "run", "--kernel", f"{FAULTY}:WRONG")

    assert done.returncode == 1
    assert "2 incorrect" in done.stderr
    wrong = [m for m in read_run(tmp_path / "run").measurements if m.provider == "faulty"]
    assert [m.timing for m in wrong] == [None, None]
    assert all(m.accuracy is not None and m.accuracy.frobenius > 0.4 for m in wrong)


def test_a_case_that_does_not_fit_is_skipped_with_its_need_in_bytes(suite: Path, tmp_path: Path) -> None:
    """The rest goes on."""
    suite.write_text(
        SUITE.replace("[{n = 512, k = 1024}]", "[{n = 4194304, k = 1048576}, {n = 512, k = 1024}]")
    )
    done = measure(suite, tmp_path / "run", "--format", "fp32")
    lines = read_run(tmp_path / "run").measurements

    assert done.returncode == 0
    assert Counter(m.status for m in lines) == {"skipped": 2, "ok": 2}
    assert all("bytes of memory" in (m.reason or "") for m in lines if m.status == "skipped")


BAD = [
    (("--suite", "defalt"), 2, "unknown suite 'defalt' (did you mean default?)"),
    (("--format", "bf61"), 2, "unknown format 'bf61' (did you mean bf16"),
    (("--provider", "tritn"), 2, "unknown provider 'tritn' (did you mean triton?)"),
    (("--device", "gpu"), 2, "no device 'gpu'"),
    (("--device", "cuda:0"), 3, "no NVIDIA driver"),
    (("--device", "sim:h1000"), 2, "h1000"),
    (("--precision", "7"), 2, "--precision"),
    (("--kernel", "nowhere.py:K"), 2, "no such file"),
    (("--kernel", "K"), 2, "write PATH.py:NAME"),
    (("--case", "gemm/x"), 2, "error: --case: 'gemm/x' is not a case id"),
    (("--cases", __file__), 2, 'test_run.py, line 1: \'"""`quantroof\' is not a case id'),
    (("--shape", "0x4x4"), 2, "'0x4x4' is not a shape: MxNxK or NxK"),
    (("--m", "1,x"), 2, "'1,x' is not a list of positive numbers"),
    (("--model", "lama-3.1-8b"), 2, "unknown model 'lama-3.1-8b' (did you mean llama-3.1-8b"),
    (("--resume", "/no/such/run"), 2, "no run.jsonl here"),
    (("--out", "/dev/null/x"), 3, "cannot be written"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"), BAD, ids=lambda v: " ".join(v) if isinstance(v, tuple) else None
)
def test_bad_input_gets_one_line_and_its_exit_code(
    arguments: tuple[str, ...],
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What, where, what to do; no traceback."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    device = () if "--device" in arguments else ("--device", "cpu")
    with pytest.raises(SystemExit) as ended:
        main(["run", *device, *arguments, "--quiet"])
    printed = capsys.readouterr()

    assert ended.value.code == code, printed.err
    assert words in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_the_process_ends_with_the_code_and_the_line() -> None:
    """The same through `python -m quantroof`, which the tests of bad input leave out."""
    done = quantroof("run", "--device", "sim:h1000", "--quiet")

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_second_run_into_one_directory_is_refused(
    measured: tuple[Path, subprocess.CompletedProcess[str]], suite: Path
) -> None:
    """The first one's lines stay as they were."""
    out, _ = measured
    before = (out / "run.jsonl").read_bytes()
    again = measure(suite, out)

    assert again.returncode == 2
    assert "--resume" in again.stderr
    assert (out / "run.jsonl").read_bytes() == before
