"""Bad input on the command line: each its own message and exit code, never a pass and never a traceback."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from quantroof.cli.main import main
from quantroof.records.directory import Run
from quantroof.records.lines import Anchor
from tests.builders import write
from tests.gate import made

Edit = Callable[[dict[str, object]], object]


def _gate(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["gate", *map(str, arguments)])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def check(
    capsys: pytest.CaptureFixture[str], run: Run, baseline: Path, tmp_path: Path, *more: str | Path
) -> tuple[int, str, str]:
    """Exit code, output and errors of `gate check` of a run, without measuring again."""
    directory = tmp_path / "written"
    write(run, directory)
    with (directory / "run.jsonl").open("ab") as file:
        for anchor in run.anchors:
            file.write(msgspec.json.encode(anchor) + b"\n")
    return _gate(capsys, "check", directory, "--baseline", baseline, "--no-measure", *more)


def test_unchanged_code_passes_and_speaks(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path
) -> None:
    """Exit 0 with the count of passes, the mark of a simulation, and what the gate would have seen."""
    code, out, err = check(capsys, now, baseline_file, tmp_path)

    assert (code, err) == (0, "")
    assert out.startswith("SIMULATED, PASS: 18 same\n")
    assert "with 90 % power" in out


def test_a_baseline_changed_by_the_change_is_not_the_judge(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path
) -> None:
    """--base-ref reads the committed file, whatever the working tree says."""
    folder = baseline_file.parent
    git = ("git", "-C", str(folder), "-c", "user.email=a@b", "-c", "user.name=a")
    for words in (("init", "-q"), ("add", baseline_file.name), ("commit", "-qm", "one")):
        subprocess.run((*git, *words), check=True)
    baseline_file.write_text("{}")

    assert check(capsys, now, baseline_file, tmp_path)[0] == 2
    code, out, _ = check(capsys, now, baseline_file, tmp_path / "again", "--base-ref", "HEAD")
    assert code == 0, out
    assert f"against {baseline_file} of HEAD" in out


BASELINES: list[tuple[Edit, int, str]] = [
    (lambda d: d.update(schema="quantroof-baseline/9"), 2, "its schema is 'quantroof-baseline/9'"),
    (lambda d: d["contract"].update(suite="other"), 2, "another suite: other, and this run has gated"),  # type: ignore[attr-defined]
    (lambda d: d["contract"].update(mode="sustained"), 2, "another mode"),  # type: ignore[attr-defined]
    (lambda d: d["contract"].update(device="NVIDIA B200"), 3, "another device: NVIDIA B200"),  # type: ignore[attr-defined]
    (lambda d: d["contract"].update(driver="535.1"), 3, "another driver: 535.1"),  # type: ignore[attr-defined]
    (lambda d: d["contract"].update(power_limit_w=350.0), 3, "another power cap (W): 350.0"),  # type: ignore[attr-defined]
    (lambda d: d.update(cases={}), 2, "it has no cases"),
    (lambda d: d["cases"].update({"gemm/x t": next(iter(d["cases"].values()))}), 2, "is not a case id"),  # type: ignore[attr-defined]
    (lambda d: next(iter(d["cases"].values())).update(ns=-1.0), 2, "not a valid baseline"),  # type: ignore[attr-defined]
    (lambda d: d.update(simulated=False), 2, "a measured baseline cannot judge a simulated run"),
]


@pytest.mark.parametrize(("edit", "exit_code", "words"), BASELINES, ids=[case[2] for case in BASELINES])
def test_a_baseline_that_does_not_fit(
    capsys: pytest.CaptureFixture[str],
    now: Run,
    baseline_file: Path,
    tmp_path: Path,
    edit: Edit,
    exit_code: int,
    words: str,
) -> None:
    """Another schema, suite, mode, device, driver or cap, and numbers that are none."""
    data = json.loads(baseline_file.read_text())
    del data["digest"]  # as in a file of the first version
    edit(data)
    baseline_file.write_text(json.dumps(data))
    code, out, err = check(capsys, now, baseline_file, tmp_path)

    assert code == exit_code
    assert words in out + err
    assert "PASS" not in out
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"{}", b"[1, 2", b'{"schema": "quantroof-baseline/1"}', b"NaN"]
)
def test_a_corrupt_baseline(
    capsys: pytest.CaptureFixture[str], now: Run, tmp_path: Path, content: bytes
) -> None:
    """Not JSON, no schema, no fields: exit 2 and the file's name."""
    file = tmp_path / "b.json"
    file.write_bytes(content)
    code, out, err = check(capsys, now, file, tmp_path)

    assert (code, out) == (2, "")
    assert str(file) in err


def test_nan_in_a_baseline_or_a_run_is_refused(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path
) -> None:
    """NaN is not a JSON number: exit 2 with the file that has it."""
    text = baseline_file.read_text()
    baseline_file.write_text(text.replace('"scale": 0.', '"scale": NaN, "x": 0.', 1))
    assert check(capsys, now, baseline_file, tmp_path)[0] == 2

    baseline_file.write_text(text)
    directory = tmp_path / "broken"
    write(now, directory)
    lines = (directory / "run.jsonl").read_text().replace('"samples_ns":[', '"samples_ns":[NaN,', 1)
    (directory / "run.jsonl").write_text(lines)
    code, out, err = _gate(capsys, "check", directory, "--baseline", baseline_file)
    assert (code, out) == (2, "")
    assert "is broken" in err


def test_an_empty_or_unanchored_or_unfinished_run(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path
) -> None:
    """No times, no anchors, no end: three messages, exit 2."""
    empty = made.changed(now, lambda _: None)
    bare = made.changed(now, lambda line: line)
    bare.anchors = []
    unfinished = made.changed(now, lambda line: line)
    unfinished.ends = []
    for name, run, words in (
        ("a", empty, "has a time"),
        ("b", bare, "no anchors in some process (collect with quantroof run --processes 5 --anchors)"),
        ("c", unfinished, "the run did not end"),
    ):
        code, out, err = check(capsys, run, baseline_file, tmp_path / name)
        assert (code, out) == (2, "")
        assert words in err


def test_moved_anchors_make_the_environment_invalid(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path
) -> None:
    """A GEMM anchor 20 % slower at the end of two processes: exit 3 with the amount, and no verdict."""
    code, out, _ = check(capsys, _anchors_slow_at_the_end(now, {2, 3}), baseline_file, tmp_path)

    assert code == 3
    assert out.startswith("SIMULATED, ENVIRONMENT INVALID: no case was judged")
    assert "the gemm anchor moved" in out


def test_one_process_of_five_may_be_disturbed(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path
) -> None:
    """The same in a single process: it is left out with a note, and the other four are judged."""
    code, out, _ = check(capsys, _anchors_slow_at_the_end(now, {2}), baseline_file, tmp_path)

    assert code == 0
    assert out.startswith("SIMULATED, PASS: 18 same")
    assert "note: process 2 is left out: the gemm anchor moved 20" in out


def _anchors_slow_at_the_end(now: Run, processes: set[int]) -> Run:
    def slow_end(anchor: Anchor) -> Anchor:
        if (anchor.name, anchor.moment) != ("gemm", "end") or anchor.process not in processes:
            return anchor
        assert anchor.timing is not None
        samples = tuple(value * 1.2 for value in anchor.timing.samples_ns)
        timing = msgspec.structs.replace(anchor.timing, samples_ns=samples)
        return msgspec.structs.replace(anchor, timing=timing)

    run = made.changed(now, lambda line: line)
    run.anchors = [slow_end(anchor) for anchor in now.anchors]
    return run


_HEAD = 'schema = "quantroof-gate/1"\n'
POLICIES = [
    ("", "its schema is None"),
    (f"{_HEAD}relativ = 0.02\n", "relativ"),
    (f'{_HEAD}[[waiver]]\ncase = "*"\nallow = 0.1\nexpires = 2030-01-01\n', "reason"),
    (
        f'{_HEAD}[[waiver]]\ncase = "*"\nallow = 0.1\nreason = "x"\nexpires = 2020-01-01\n',
        "waiver '*' expired on 2020-01-01",
    ),
    (
        f'{_HEAD}[[waiver]]\ncase = "fp5*"\nallow = 0.1\nreason = "x"\nexpires = 2090-01-01\n',
        "waiver 'fp5*' matches no case",
    ),
    (f'{_HEAD}[[threshold]]\ncase = "fp5*"\nrelative = 0.1\n', "threshold 'fp5*' matches"),
    ("schema = ", "not TOML"),
    (f"{_HEAD}absolute_ns = 1e30\n", "absolute_ns = 1e+30 is "),
    (f"{_HEAD}absolute_ns = inf\n", "absolute_ns: needs a finite number"),
    (f"{_HEAD}[environment]\nforeign_load_share = 1.5\n", "environment.foreign_load_share"),
    (f"{_HEAD}[environment]\nclock_moved_share = -0.1\n", "environment.clock_moved_share"),
]


@pytest.mark.parametrize(("text", "words"), POLICIES, ids=[case[1] for case in POLICIES])
def test_a_policy_that_cannot_be_meant(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path, text: str, words: str
) -> None:
    """Unknown keys, missing reasons, expired and unused waivers: exit 2 with the file."""
    policy = tmp_path / "gate.toml"
    policy.write_text(text)
    code, out, err = check(capsys, now, baseline_file, tmp_path, "--policy", policy)

    assert (code, out) == (2, "")
    assert words in err


OPTIONS: list[tuple[tuple[str, ...], int, str]] = [
    (("--min-roof", "bf16"), 2, "'bf16' is not a floor"),
    (("--min-roof", "bf16:1.5"), 2, "is not a floor"),
    (("--device", "cuda:7"), 2, "no device 'cuda:7'"),
    (("--confirm-against", "HEAD", "--confirm-python", "python3"), 2, "exclude each other"),
    (("--base-ref", "no-such-ref"), 2, "git show"),
    (("--confirm-against", "no-such-ref"), 2, "git does not have the revision 'no-such-ref'"),
    (("--confirm-python", "/no/python"), 2, "--confirm-python /no/python: this interpreter does not exist"),
    (("--threshold", "nan"), 2, "'nan' is not a finite number"),
    (("--github",), 3, "--markdown FILE"),
    (("--junit", "/dev/null/x.xml"), 3, "cannot be written"),
]


@pytest.mark.parametrize(("options", "exit_code", "words"), OPTIONS, ids=[" ".join(o[0]) for o in OPTIONS])
def test_options_that_cannot_be_met(
    capsys: pytest.CaptureFixture[str],
    now: Run,
    baseline_file: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    exit_code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line each, with what to do."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    code, _, err = check(capsys, now, baseline_file, tmp_path, *options)

    assert code == exit_code
    assert words in err


def test_a_surface_that_cannot_be_written_does_not_swallow_the_verdict(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path
) -> None:
    """The verdict was printed before the JUnit file failed: exit 3, and minutes of measuring are not lost."""
    code, out, err = check(capsys, now, baseline_file, tmp_path, "--junit", "/dev/null/x.xml")

    assert code == 3
    assert "PASS: 18 same" in out
    assert "/dev/null/x.xml: cannot be written" in err


def test_calibration_does_not_mix_with_what_is_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A folder with runs is refused before anything is measured."""
    (tmp_path / "run-00").mkdir()
    code, _, err = _gate(capsys, "calibrate", "--device", "sim:h100-sxm5-80gb", "--out", tmp_path)

    assert code == 2
    assert "already contains runs (move them, or name another --out)" in err


def test_a_baseline_needs_five_valid_and_different_runs(
    capsys: pytest.CaptureFixture[str], history: list[Run], tmp_path: Path
) -> None:
    """Four runs, and one run named five times, teach nothing: exit 2, and no file."""
    paths = [run.path.parent for run in history]
    out = tmp_path / "b.json"

    code, _, err = _gate(capsys, "baseline", "update", *paths[:4], "--out", out)
    assert code == 2
    assert "a baseline needs 5 runs or more, not 4" in err
    code, _, err = _gate(capsys, "baseline", "update", *[paths[0]] * 5, "--out", out)
    assert code == 2
    assert "named twice" in err
    assert not out.exists()
    assert _gate(capsys, "baseline", "update", *paths, "--out", out)[0] == 0
    assert out.exists()
