"""`quantroof gate demo`: a green, a red and an undecided check on simulated devices, in this process."""

from __future__ import annotations

import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.output import echo_lines, note
from quantroof.errors import ExitCode

if TYPE_CHECKING:
    from quantroof.gate.baseline import Baseline
    from quantroof.gate.check import Report
    from quantroof.gate.sides import Side

_DEVICE = "sim:h100-sxm5-80gb"
_SLOWER = f"{_DEVICE}+kernel@0"
_PAIRS, _PROCESSES, _RUNS = 8, 3, 5
_SUITE = """schema = "quantroof-suite/1"
name = "demo"
providers = ["triton"]
[[sweep]]
layers = ["llama-3.1-8b/o"]
m = [1, 16]
formats = ["bf16", "int4-w4a16"]
"""


@click.command("demo", short_help="A green, a red and an undecided check, simulated.")
def command() -> int:
    """Learn a baseline and judge three runs of a simulated H100. No figure is measured on any device.

    The first run is unchanged. In the second the int4 kernels take 10 % longer, which an A/B with the base
    confirms. In the third the same suspects are not measured again.
    """
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="quantroof-demo-") as name:
        folder = Path(name)
        (folder / "demo.toml").write_text(_SUITE, encoding="utf-8")
        note(f"{_RUNS} runs of unchanged code in {_PROCESSES} processes each: the baseline")
        baseline = _learned(folder)
        codes = [
            _shown("1. unchanged code", _judged(folder, baseline, _DEVICE, "green")),
            _shown("2. int4 kernels 10 % slower", _judged(folder, baseline, _SLOWER, "red")),
            _shown(
                "3. the same, without a second measurement (--no-measure)",
                _judged(folder, baseline, _SLOWER, "undecided", measure=False),
            ),
        ]
    expected = [ExitCode.OK, ExitCode.FINDING, ExitCode.UNDECIDED]
    return ExitCode.OK if codes == expected else ExitCode.DEFECT


def _learned(folder: Path) -> Baseline:
    from quantroof.gate.calibrate import calibrate
    from quantroof.gate.environment import Tolerance
    from quantroof.gate.times import run_times
    from quantroof.records.directory import read_run

    runs = []
    for number in range(_RUNS):
        directory = folder / f"baseline-{number}"
        _run(_words(folder, directory, _DEVICE, seed=number))
        runs.append(run_times(read_run(directory)))
    return calibrate(runs, _PAIRS, Tolerance()).baseline


def _judged(folder: Path, baseline: Baseline, device: str, name: str, *, measure: bool = True) -> Report:
    from quantroof.gate.check import CheckOptions, check
    from quantroof.gate.policy import Policy
    from quantroof.gate.times import run_times
    from quantroof.records.directory import read_run

    directory = folder / name
    _run(_words(folder, directory, device, seed=100))
    options = CheckOptions(
        times=run_times(read_run(directory)),
        baseline=baseline,
        baseline_name="the demo's baseline",
        policy=Policy(),
        policy_name="policy",
        measure=measure,
        pairs=_PAIRS,
        keep=folder / f"{name}-second",
        base=_base(),
        start=lambda _side, words: _run(words),
    )
    return check(options, lambda _text: None)


def _base() -> Side:
    """A base whose kernels have another source, as the base of a change has."""
    from quantroof.gate.sides import candidate

    return replace(candidate(()), name="base", sources={})


def _words(folder: Path, directory: Path, device: str, *, seed: int) -> list[str]:
    words = ["run", "--suite", str(folder / "demo.toml"), "--out", str(directory), "--seed", str(seed)]
    words += ["--processes", str(_PROCESSES), "--anchors", "--no-ceilings", "--quiet"]
    return [*words, "--device", device]


def _run(words: list[str]) -> None:
    """`quantroof run` in this process, silently: a simulated device needs no other one."""
    from quantroof.cli.commands.run import command as run_command

    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        run_command.main(args=words[1:], standalone_mode=False)


def _shown(title: str, report: Report) -> ExitCode:
    from quantroof.reports.text.gate_lines import report_lines

    echo_lines(["", title, *report_lines(report), f"exit code {int(report.exit_code)}"])
    return report.exit_code
