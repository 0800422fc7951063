"""Triton's folder that cannot be written costs one line that names it, and no verdict on a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quantroof.bench.run import execute, new_job
from quantroof.errors import EnvironmentMissing
from quantroof.files import cache_folder as own_folder
from quantroof.hwprofiles.types import Device
from quantroof.kernels.sass.cache import cache_folder, require_cache
from quantroof.kernels.sass.table import Job, rows_of
from quantroof.records.directory import RunWriter, read_run
from quantroof.records.run import RunOptions

SUITE = """
schema = "quantroof-suite/1"
name = "tiny"
[[sweep]]
shapes = [{n = 4096, k = 4096}]
m = [1]
formats = ["int4-w4a16"]
"""
INT4 = Job("triton.int4", "gemv/int4.g128-bf16-bf16/m1-n4096-k4096", "sm_90a")


@pytest.fixture(params=["TRITON_CACHE_DIR", "TRITON_HOME", "HOME"])
def closed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A variable that puts Triton's folder where nothing can be written: below a file."""
    for name in ("TRITON_CACHE_DIR", "TRITON_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv(request.param, str(tmp_path / "file" / "home"))
    return str(tmp_path / "file" / "home")


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(closed: str) -> None:
    """Triton alone needs it; the line has the folder, the reason and the variable that helps."""
    require_cache(["torch", "cuda"])
    with pytest.raises(EnvironmentMissing) as caught:
        require_cache(["torch", "triton"])

    text = str(caught.value)
    assert text.startswith(closed)
    assert "Not a directory" in text
    assert "set TRITON_CACHE_DIR to a folder that can be written" in text


def test_a_folder_that_can_be_written_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is Triton's own choice, and nothing is left in it."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "new" / "cache"))
    require_cache()

    assert cache_folder() == tmp_path / "new" / "cache"
    assert list(cache_folder().iterdir()) == []
    monkeypatch.delenv("TRITON_CACHE_DIR")
    monkeypatch.setenv("TRITON_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".triton" / "cache"


def test_the_table_of_machine_code_blames_no_kernel(closed: str) -> None:
    """`compile` ended with a finding against every kernel; CUDA C++ needs no such folder."""
    with pytest.raises(EnvironmentMissing, match="Triton cannot keep its compiled kernels"):
        rows_of([INT4])


def test_a_run_on_a_gpu_ends_before_it_measures(
    closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one record per kernel that failed: the run's end has the reason."""
    unreachable: Any = None
    monkeypatch.setattr("quantroof.bench.run.Scheduler.run", unreachable)
    suite = tmp_path / "tiny.toml"
    suite.write_text(SUITE)
    gpu = Device(
        kind="cuda", index=0, name="NVIDIA H100 80GB HBM3", compute_capability="9.0", sm_count=132,
        memory_bytes=80 << 30, llc_bytes=50 << 20,
    )  # fmt: skip
    job = new_job(RunOptions(suite=str(suite), providers=("triton",)), (gpu,), ("test",))
    with RunWriter.create(tmp_path / "run", job.info) as writer, pytest.raises(EnvironmentMissing):
        execute(job, writer, unreachable)

    (end,) = read_run(tmp_path / "run").ends
    assert end.outcome == "failed"
    assert "TRITON_CACHE_DIR" in (end.reason or "")


def test_a_user_without_a_home_is_told_which_variable_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user often has neither HOME nor a line in /etc/passwd."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(EnvironmentMissing, match=r"no home directory.*XDG_CACHE_HOME"):
        own_folder("stack")
