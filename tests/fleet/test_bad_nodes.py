"""Nodes that cannot be measured as planned: a verdict with a reason each time, and never a hang."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from quantroof.bench.run import Job, execute
from quantroof.cli.main import main
from quantroof.cli.progress import Display
from quantroof.fleet.burn_in import BurnInOptions, BurnInResult
from quantroof.fleet.next_steps import next_steps
from quantroof.fleet.part_check import PartCheck
from quantroof.hwprofiles.detect import Detection, detect
from quantroof.hwprofiles.nvml import Board, BoardHealth
from quantroof.hwprofiles.select import select
from quantroof.hwprofiles.types import Device, PcieLink
from quantroof.records.directory import RunWriter
from quantroof.reports.text.burn_in_lines import burn_in_lines


def measure(job: Job, directory: Path) -> None:
    """Without progress."""
    with RunWriter.create(directory, job.info) as writer, Display(job, quiet=True) as display:
        execute(job, writer, display)


def bits(devices: tuple[Device, ...], folder: Path) -> BurnInResult:
    """A check of exact products of simulated devices."""
    return PartCheck(BurnInOptions(devices, folder), None, 1.0).run(measure)


class BusyBoard:
    """A board with somebody else's process."""

    def health(self) -> BoardHealth:
        """One process."""
        return BoardHealth(process_ids=(4711,))

    def link(self) -> PcieLink | None:
        """Not reported."""
        return None


@pytest.mark.parametrize("mode", ["--burn-in", "--links", "--bits"])
def test_no_gpu_is_one_line(
    mode: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, and how to try it without one."""
    nothing = Detection(devices=(), remarks=("no NVIDIA driver",))
    monkeypatch.setattr("quantroof.hwprofiles.detect.detect", lambda: nothing)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", mode])
    told = capsys.readouterr()

    assert (ended.value.code, told.out) == (3, "")
    assert "no NVIDIA driver" in told.err


def test_a_busy_gpu_is_left_alone_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The verdict is unknown, with the process as its reason; the other three are ok."""
    devices = select(detect(), ["sim:h100-sxm5-80gb*4"])
    monkeypatch.setattr(Board, "of", lambda device: BusyBoard() if device == devices[2] else None)
    node = bits(devices, tmp_path).node

    assert [gpu.state for gpu in node.gpus] == ["unknown", "ok", "ok", "ok"]
    assert node.gpus[0].device == devices[2]
    assert "1 compute processes are running (pid 4711)" in (node.verdict.reason or "")


def test_all_gpus_busy_is_a_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is measured and nothing hangs."""
    devices = select(detect(), ["sim:h100-sxm5-80gb*2"])
    monkeypatch.setattr(Board, "of", lambda _: BusyBoard())
    result = bits(devices, tmp_path)

    assert (result.node.verdict.state, result.directories) == ("unknown", ())


def test_a_gpu_without_a_serial_number_has_a_verdict(tmp_path: Path) -> None:
    """A dash in the table, "not reported" in the text of a return."""
    (sick,) = select(detect(), ["sim:h100-sxm5-80gb+bits@0"])
    result = bits((replace(sick, serial=None, pci=None),), tmp_path)

    assert result.node.verdict.state == "failed"
    assert "serial: not reported" in next_steps(result.node).evidence
    assert any(line.startswith("sim:h100-sxm5-80gb  failed") for line in burn_in_lines(result))
