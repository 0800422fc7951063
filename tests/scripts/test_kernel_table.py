"""The tables of the pages, filled from a run that was brought back, with device, date and versions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.builders import write
from tests.runs import cpu_run, gpu_run

ROOT = Path(__file__).parent.parent.parent
PAGES = ("README.md", "docs/kernels.md", "docs/measurement.md")


def _pages(folder: Path) -> Path:
    for page in PAGES:
        (folder / page).parent.mkdir(exist_ok=True, parents=True)
        (folder / page).write_text((ROOT / page).read_text())
    return folder


def _fill(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "kernel_table.py"), str(folder / "run"), *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, env={"PYTHONPATH": str(ROOT)}
    )


def test_one_command_fills_the_pages(tmp_path: Path) -> None:
    """Each with the device, the date and the versions; what no acceptance measured stays as it was."""
    write(gpu_run(), tmp_path / "run")
    root = _pages(tmp_path / "pages")
    done = _fill(tmp_path, "--write", "--root", str(root))
    kernels, readme, measurement = (
        (root / page).read_text() for page in ("docs/kernels.md", "README.md", "docs/measurement.md")
    )

    assert done.returncode in (0, 1), done.stderr
    for text in (kernels, readme):
        assert f"{gpu_run().info.devices[0].name}, {gpu_run().info.started_at[:10]}, driver " in text
        assert "torch " in text
    assert "not yet measured" in measurement
    assert measurement == (ROOT / "docs" / "measurement.md").read_text()


def test_an_acceptance_fills_the_measurement_page(tmp_path: Path) -> None:
    """The lines of its summary, under the device and date of the run."""
    write(gpu_run(), tmp_path / "run")
    root = _pages(tmp_path / "pages")
    (tmp_path / "summary.md").write_text("# Acceptance\n\n- 1 of >= 20 us: median 0.65%: holds\n")
    _fill(tmp_path, "--write", "--root", str(root), "--acceptance", str(tmp_path))

    assert "- 1 of >= 20 us: median 0.65%: holds" in (root / "docs" / "measurement.md").read_text()


def test_a_cpu_fills_no_page(tmp_path: Path) -> None:
    """These are tables of GPUs."""
    write(cpu_run(), tmp_path / "run")
    root = _pages(tmp_path / "pages")
    done = _fill(tmp_path, "--write", "--root", str(root))

    assert done.returncode == 2
    assert all((root / page).read_text() == (ROOT / page).read_text() for page in PAGES)
