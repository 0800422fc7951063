"""`quantroof advise` as people run it: answers, formats of output, and one line for every bad input."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests import builders, runs

ROOT = Path(__file__).parents[2]
A100 = ("--model", "llama-3.1-70b", "--gpu", "a100-sxm4-80gb")


def _advise(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quantroof", "advise", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_question_of_the_lesson_is_answered_within_a_second() -> None:
    """The whole command takes less than a CPU second, Python's start included; option and falls are named."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = _advise(*A100, "--context", "4096", "--latency", "50ms", "--tokens-per-day", "10M")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert ran.returncode == 0
    assert "int4-w4a16 on 1 GPU" in ran.stdout.splitlines()[0]
    assert "modeled" in ran.stdout
    assert "misses: the weights do not fit" in ran.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_json_is_one_document() -> None:
    """--json holds the request, ranked options with all parts, curves, explanation and launch line."""
    asked = (*A100, "--formats", "bf16", "--gpus", "4", "--latency", "50ms", "--price", "2")
    ran = _advise(*asked, "--json", "--explain", "--emit", "vllm")

    document = json.loads(ran.stdout)
    assert document["schema_version"] == 1
    assert document["kind"] == "advice"
    assert document["options"][document["best"]]["decode"]["total"]["source"] == "modeled"
    assert document["options"][0]["usd_per_million_tokens"] > 0
    assert document["curves"]
    assert document["explanation"][0]["what"] == "parameters"
    assert document["launch"]["command"].startswith("vllm serve meta-llama/Llama-3.1-70B")


def test_markdown_is_tables() -> None:
    """--markdown prints tables that a merge request renders."""
    lines = _advise(*A100, "--markdown").stdout.splitlines()

    assert any(line.startswith("| option | KV | GPUs |") for line in lines)
    assert any(line.startswith("| --- | --- |") for line in lines)


def test_without_targets_no_line_says_take_it() -> None:
    """The flow agrees with the first sentence: a target decides; with one it names an option to take."""
    asked = ("--model", "llama-3.1-8b", "--gpu", "l4", "--formats", "bf16,int4-w4a16")
    open_question, answer = _advise(*asked).stdout, _advise(*asked, "--latency", "100ms").stdout

    assert "a target decides (--latency, --tokens-per-day)" in open_question
    assert "take it" not in open_question
    assert "-> take it" in answer


def test_a_run_gives_measured_times(tmp_path: Path) -> None:
    """With --run the machine and its times are the node's own."""
    directory = builders.write(runs.gpu_run(), tmp_path / "run")

    ran = _advise("--model", "llama-3.1-8b", "--run", str(directory), "--formats", "bf16,int4-w4a16")

    assert ran.returncode == 0, ran.stderr
    assert "interpolated" in ran.stdout or "measured" in ran.stdout
    assert "T/s, measured" in ran.stdout


def test_a_simulated_run_is_marked(tmp_path: Path) -> None:
    """An answer from a simulated device says so in its first line."""
    directory = builders.write(runs.gpu_run(simulated=True), tmp_path / "run")

    ran = _advise("--model", "llama-3.1-8b", "--run", str(directory))

    assert ran.stdout.startswith("SIMULATED. ")


def test_a_cpu_run_is_answered(tmp_path: Path) -> None:
    """The CPU is a device like another: its ceilings are its roofs, and it stands alone."""
    directory = builders.write(runs.cpu_run(), tmp_path / "run")

    ran = _advise("--model", "llama-3.2-1b", "--run", str(directory), "--context", "512", "--json")

    document = json.loads(ran.stdout)
    assert document["machine"]["bandwidth"]["basis"] == "measured"
    assert {option["gpus"] for option in document["options"]} == {1}


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--model", "llama-4", "--gpu", "a100-sxm4-80gb"), 2, "unknown model 'llama-4'"),
        (("--model", "llama-3.1-8b", "--gpu", "a100-sxm4-81gb"), 2, "a100-sxm4-80gb"),
        ((*A100, "--formats", "int5"), 2, "unknown format 'int5'"),
        ((*A100, "--kv", "int5"), 2, "unknown KV-cache format 'int5'"),
        ((*A100, "--latency", "fast"), 2, "--latency: 'fast' is not a positive time like 50ms"),
        ((*A100, "--latency", "-5ms"), 2, "--latency: '-5ms' is not a positive time"),
        ((*A100, "--tokens-per-day", "0"), 2, "--tokens-per-day: '0' is not a positive number"),
        ((*A100, "--context", "0"), 2, "--context: '0' is not a positive length like 4096 or 8k"),
        ((*A100, "--gpus", "1,zero"), 2, "--gpus: '1,zero' is not a list of whole numbers"),
        ((*A100, "--price", "-1"), 2, "'--price': -1.0 is not in the range x>=0"),
        ((*A100, "--prices", "/no/such.toml"), 2, "/no/such.toml: cannot be read"),
        ((*A100, "--price", "2", "--prices", "examples"), 2, "--price and --prices exclude each other"),
        ((*A100, "--markdown", "--json"), 2, "--markdown and --json exclude each other"),
        ((*A100, "--link-gbps", "0"), 2, "'--link-gbps': 0.0 is not in the range x>0"),
        ((*A100, "--memory-share", "nan"), 2, "'--memory-share': 'nan' is not a finite number"),
        ((*A100, "--efficiency", "nan"), 2, "'--efficiency': 'nan' is not a finite number"),
        ((*A100, "--price", "inf"), 2, "'--price': 'inf' is not a finite number"),
        (
            (*A100, "--output", "4096", "--context", "4096"),
            2,
            "--output: 4096 tokens leave no room for a prompt",
        ),
        ((*A100, "--context", "4.5"), 2, "--context: '4.5' is not a positive length like 4096 or 8k"),
        ((*A100, "--gpus", "3"), 1, "64 attention heads cannot be divided among 3 GPUs"),
        (("--model", "phi-4", "--gpu", "l4", "--gpus", "4"), 1, "10 KV heads cannot be divided among 4"),
        (("--model", "llama-3.1-8b", "--gpu", "a100"), 2, "several boards are called 'a100'"),
        ((*A100, "--context", "1M"), 2, "1048576 tokens is beyond the 131072"),
        ((*A100, "--latency", "1us"), 1, "the fastest is"),
        (("--model", "llama-3.1-8b"), 2, "needs a GPU or a run"),
        (("--model", "llama-3.1-8b", "--gpu", "l4,t4", "--emit", "vllm"), 2, "--emit and --explain take one"),
        (("--check", "--gpu", "l4"), 2, "--check takes --run, --json or --markdown, and nothing else"),
        (("--model", "llama-3.1-8b", "--run", "/no/such/run"), 2, "/no/such/run"),
    ],
)
def test_bad_input_gets_one_line(arguments: tuple[str, ...], code: int, line: str) -> None:
    """What was wrong and what would be possible, on stderr, with the exit code of its kind."""
    ran = _advise(*arguments)

    assert ran.returncode == code
    assert line in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ran.stderr


HEAD = 'schema = "quantroof-prices/1"\n'
ROW = '[[price]]\ngpu = "x"\nsource = "s"\ndate = "d"\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"{HEAD}{ROW}usd_per_gpu_hour = -2", ">= 0"),
        (f"{HEAD}{ROW}usd_per_gpu_hour = inf", "needs a finite number"),
        (f"{HEAD}{ROW}", "usd_per_gpu_hour"),
        ("price = ", "not TOML"),
        ('schema = "mine/2"\nprice = []', "its schema is 'mine/2'"),
        (f"{HEAD}price = []", "has no price for a100-sxm4-80gb"),
    ],
)
def test_broken_price_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """A negative price, a missing key, no TOML, or no price for this GPU."""
    path = tmp_path / "prices.toml"
    path.write_text(text)

    ran = _advise(*A100, "--prices", str(path))

    assert ran.returncode == 2
    assert complaint in ran.stderr
