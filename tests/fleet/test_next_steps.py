"""What a verdict on a node asks for: identity of the board, commands to copy, evidence, the page."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantroof.analysis.verdicts import State, Verdict
from quantroof.bench.run import Job, execute
from quantroof.cli.main import main
from quantroof.cli.progress import Display
from quantroof.finding import Finding, Level
from quantroof.fleet.burn_in import BurnIn, BurnInOptions, BurnInResult
from quantroof.fleet.next_steps import REASON_LENGTH, next_steps, reason_line
from quantroof.fleet.node import GpuReport, NodeReport
from quantroof.fleet.telemetry import Telemetry
from quantroof.hwprofiles.pci_slot import pci_address, slot_of
from quantroof.hwprofiles.simulated import simulated_devices
from quantroof.records.directory import RunWriter, read_run
from quantroof.reports.html.node_page import node_html
from tests.builders import gpu_device

HOSTILE = "<script>alert(1)</script>'; rm -rf / #"


def report(
    code: str, level: Level, text: str = "why", *, name: str = "gpu-07", model: str = "H100"
) -> NodeReport:
    """A node of one GPU with one finding."""
    device = msgspec.structs.replace(
        gpu_device(3), name=model, pci="0000:5d:00.0", serial="1652822011111", slot="7", vbios="96.00.A5"
    )
    state: State = "ok" if level == "note" else level  # type: ignore[assignment]
    gpu = GpuReport(device, state, (Finding(level, code, text),), {}, Telemetry(81.0, 702.4, 1230.0))
    return NodeReport(name, Verdict(state, text), (gpu,), (), (), simulated=False)


def test_a_bad_node_is_drained_by_copied_commands() -> None:
    """Both commands name the node, the reason fits a scheduler's field, and the action names the board."""
    node = report("memory", "degraded", "memory -7.5% against siblings (1 in 100,000 by chance)")
    steps = next_steps(node)
    slurm = shlex.split(steps.drain[0])

    assert slurm[:4] == ["scontrol", "update", "nodename=gpu-07", "state=drain"]
    assert slurm[4].startswith("reason=quantroof degraded: GPU 3 0000:5d:00.0 memory -7.5%")
    assert steps.drain[1] == "kubectl cordon gpu-07"
    assert steps.actions[0].startswith("cuda:3 (0000:5d:00.0): measure it again after a reset")
    assert "-i 3" in steps.actions[0]


def test_the_evidence_names_the_board_and_what_was_seen() -> None:
    """Serial, slot, VBIOS, temperature, power and clock stand in the text of a return, and every finding."""
    evidence = next_steps(report("ecc_errors", "failed", "37 uncorrectable ECC errors")).evidence

    for words in (
        "serial: 1652822011111",
        "slot: 7",
        "VBIOS: 96.00.A5",
        "81 C",
        "702 W",
        "1230 MHz",
        "- 37 unc",
    ):
        assert words in evidence


@pytest.mark.parametrize("level", ["note", "unknown"])
def test_a_node_that_is_not_bad_is_not_drained(level: Level) -> None:
    """Neither ok nor unknown drains a node or writes a return."""
    steps = next_steps(report("busy", level))

    assert (steps.drain, steps.evidence) == ((), "")
    assert bool(steps.actions) == (level == "unknown")


def test_the_reason_is_one_short_line() -> None:
    """80 characters at most, with no quote and no control character, whatever a device reports."""
    line = reason_line(report("memory", "degraded", 'a "long"\nreason ' + "x" * 200))

    assert len(line) <= REASON_LENGTH
    assert not set("\"'\n") & set(line)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """A host or a device named like markup or a command is quoted in the shell and escaped on the page."""
    node = report("memory", "degraded", HOSTILE, name=HOSTILE, model=HOSTILE)
    page = node_html(BurnInResult(node, (tmp_path,)))

    assert shlex.split(next_steps(node).drain[1]) == ["kubectl", "cordon", HOSTILE]
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_slot_is_found_by_its_address(tmp_path: Path) -> None:
    """NVML's bus id is rewritten as Linux has it; a slot is named where sysfs has it, and None elsewhere."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "address").write_text("0000:5d:00\n")

    assert pci_address(b"00000000:5D:00.0") == "0000:5d:00.0"
    assert slot_of("0000:5d:00.0", tmp_path) == "7"
    assert slot_of("0000:5e:00.0", tmp_path) is None
    assert slot_of("0000:5d:00.0", tmp_path / "absent") is None
    assert pci_address(None) is None


def test_the_command_prints_identity_and_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text, JSON and page of one node with a broken link: PCI address, serial, drain command, not tested."""
    device = "sim:h100-sxm5-80gb*8+pcie@5"
    page = tmp_path / "node.html"
    arguments = ["doctor", "--burn-in", "--device", device, "--quiet", "--out", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--html", str(page)])
    text = capsys.readouterr().out

    assert ended.value.code == 1
    for words in ("0000:1d:00.0", "SIM0005", "next: sim:h100-sxm5-80gb#5", "reseat the card", "not tested:"):
        assert words in text
    assert "drain: scontrol update nodename=" in text
    written = page.read_text(encoding="utf-8")
    for words in ("reseat the card", "SIMULATED", ">VBIOS<", "SIM0000", "SIM0005"):
        assert words in written
    assert "<script" not in written


def test_minutes_stretch_the_sustained_load_alone(tmp_path: Path) -> None:
    """Ten minutes are divided over the sustained cases of a GPU; bursts stay short, and nothing times out."""

    def options(minutes: float | None) -> BurnInOptions:
        return BurnInOptions((gpu_device(0), gpu_device(1)), tmp_path, minutes=minutes)

    once, soak = BurnIn(options(None)), BurnIn(options(10))
    burst, hot = soak._jobs

    assert burst.info.options.seconds_per_case is None
    assert hot.info.options.case_timeout_s > (hot.info.options.seconds_per_case or 0) > 3
    assert 480 < soak.estimate_s()[0] - once.estimate_s()[0] < 660


def test_json_has_what_a_program_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Identity and telemetry of every GPU, the actions and the commands, beside what was not tested."""
    devices = simulated_devices("h100-sxm5-80gb*4+ecc@1")

    def measure(job: Job, directory: Path) -> None:
        with RunWriter.create(directory, job.info) as writer, Display(job, quiet=True) as display:
            execute(job, writer, display)

    from quantroof.reports.text.burn_in_lines import burn_in_document

    found: dict[str, Any] = json.loads(
        msgspec.json.encode(burn_in_document(BurnIn(BurnInOptions(devices, tmp_path)).run(measure)))
    )
    worst = found["gpus"][0]

    assert (worst["pci"], worst["serial"], worst["vbios"]) == ("0000:19:00.0", "SIM0001", "SIM.01")
    assert worst["temperature_c"] > 0
    assert found["next"]["drain"]
    assert "nvidia-smi -i 1" in found["next"]["actions"][0]
    assert "NICs" in found["not_tested"]
    assert {d.pci for r in found["runs"] for d in read_run(Path(r)).info.devices} >= {"0000:19:00.0"}
