"""The four root folders that a user edits and runs: their commands work as the READMEs print them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from quantroof.errors import UsageError
from quantroof.hwprofiles import catalog, derive
from quantroof.hwprofiles.profile_file import read_profiles

ROOT = Path(__file__).parent.parent
FOLDERS = ("bench", "hwprofiles", "kernels", "reports")
BOARD = ROOT / "hwprofiles" / "quadro_rtx_6000.toml"
# Too long for this test, or dependent on the machine; tests/gate/test_pytest_plugin.py runs pytest on bench/.
NOT_RUN = {
    "quantroof run --suite bench/small.toml --out runs/small",
    "pytest bench/ --quantroof-suite bench/small.toml --benchmark-json out.json",
    "pytest bench/ --quantroof-suite quick",
    "quantroof --profiles hwprofiles/quadro_rtx_6000.toml doctor",
    "python reports/make_samples.py",
}
# What shortens a measurement that a page shows; those that nothing else on their page reads are planned only.
SHORTER = {"quantroof run --kernel": ("--no-ceilings", "--seconds", "0.05"), "quantroof run": ("--dry-run",)}


def _commands(folder: str) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / folder / "README.md").read_text(), re.DOTALL)
    return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def _shortened(command: str) -> str:
    options = next((options for start, options in SHORTER.items() if command.startswith(start)), ())
    return shlex.join([*shlex.split(command), *options])


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = shlex.split(command)
    start = {"quantroof": [sys.executable, "-m", "quantroof"], "python": [sys.executable]}[program]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [*start, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_commands_of_a_readme_run(folder: str, tmp_path: Path) -> None:
    """Every command exits with 0, in the order of the page; measurements are shortened or planned."""
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("samples", "__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    commands = [command for command in _commands(folder) if command not in NOT_RUN]

    (tmp_path / "changed.txt").write_text("gemm/bf16-bf16-bf16/m16-n4096-k4096\n")
    assert commands
    for command in commands:
        done = _run(_shortened(command), tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_what_is_not_run_is_in_a_readme() -> None:
    """A command that left the pages leaves the list of exceptions as well."""
    assert {command for folder in FOLDERS for command in _commands(folder)} >= NOT_RUN


def test_the_example_board_is_not_listed_and_follows_the_formulas() -> None:
    """Its peaks are within 1 % of SMs x clock x operations per clock, its bandwidth is rate x bus / 8."""
    (board,) = read_profiles(BOARD.read_text(), BOARD.name)
    assert board.boost_mhz is not None
    assert board.memory_gbps_per_pin is not None
    assert board.memory_bus_bits is not None
    derived = derive.peaks(
        board.compute_capability, board.sm_count, board.boost_mhz, board.boost_mhz, board.rate_class
    )
    formula = {peak.key: peak.tflops for peak in derived}

    assert board.id not in catalog.profiles()
    assert catalog.by_name(board.device_names[0]) == []
    for peak in board.peaks:
        assert peak.tflops == pytest.approx(formula[peak.key], rel=0.01)
    assert board.bandwidth_gbps.value == board.memory_gbps_per_pin * board.memory_bus_bits / 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        ("vendor = ", "not TOML"),
        (
            BOARD.read_text().replace("profile.quadro-rtx-6000", "profile.t4"),
            "profile t4 is in the catalog already",
        ),
    ],
)
def test_a_profile_file_that_cannot_be_used_is_one_line(text: str | None, words: str, tmp_path: Path) -> None:
    """Exit code 2 with the file and the reason."""
    file = tmp_path / "board.toml"
    if text is not None:
        file.write_text(text)
    done = _run(f"quantroof --profiles {file} hardware list", tmp_path)

    assert done.returncode == UsageError.exit_code == 2
    assert done.stderr.startswith(f"error: {file}: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
