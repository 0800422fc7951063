"""Detection in real processes against a small fake NVML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quantroof.hwprofiles.cuda_driver import CudaDevice, digits
from quantroof.hwprofiles.detect import join
from tests.hwprofiles.boards import gpu
from tests.hwprofiles.conftest import Detect

Environment = Callable[..., dict[str, str]]


def gpus(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The detected GPUs; the CPU always comes last."""
    assert found["devices"][-1]["kind"] == "cpu"
    return list(found["devices"][:-1])


def test_a_gpu_is_described_and_matched(detect_in_process: Detect) -> None:
    """What NVML reports arrives, SMs are counted from lanes, the catalog adds profile and L2."""
    (found,) = gpus(detect_in_process())
    assert found["name"] == "NVIDIA H100 80GB HBM3"
    assert found["compute_capability"] == "9.0"
    assert found["sm_count"] == 132
    assert found["memory_bytes"] == 85_520_809_984
    assert found["power_limit_w"] == 700.0
    assert found["vbios"] == "96.00.74.00.01"
    assert (found["pci"], found["serial"]) == (None, None)  # not in this driver
    assert found["profile_id"] == "h100-sxm5-80gb"
    assert found["llc_bytes"] == 50 << 20


def test_sentinels_and_refusals_are_absent_not_zero(detect_in_process: Detect) -> None:
    """NVML's all-ones values, zeros that cannot be, and NotSupported all become None."""
    (found,) = gpus(detect_in_process(FAKE_BUS=0xFFFFFFFF, FAKE_MAX_SM=0, FAKE_POWER=-1, FAKE_CORES=-1))
    for field in ("memory_bus_bits", "max_sm_clock_mhz", "power_limit_w", "sm_count"):
        assert found[field] is None


def test_a_name_that_is_not_utf_8_costs_the_name(environment_of: Environment) -> None:
    """A board with a broken name is listed all the same."""
    environment = {os.fsencode(k): os.fsencode(v) for k, v in environment_of().items()}
    script = "import msgspec; from quantroof.hwprofiles.detect import detect; print(detect().devices[0].name)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment | {b"FAKE_NAME": b"\xf8\xb1 RTX"},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert done.stdout == "NVIDIA GPU\n"


def test_an_old_driver_without_newer_functions_still_works(detect_in_process: Detect) -> None:
    """A function the library lacks costs its own field only."""
    (found,) = gpus(detect_in_process(old=True))
    assert found["sm_count"] is None
    assert found["vbios"] is None
    assert found["max_sm_clock_mhz"] == 1980


def test_eight_gpus_keep_their_physical_index_behind_cuda_numbers(detect_in_process: Detect) -> None:
    """CUDA_VISIBLE_DEVICES chooses and renumbers; NVML's index stays; the remark says what is hidden."""
    found = detect_in_process(FAKE_COUNT=8, CUDA_VISIBLE_DEVICES="6,1")
    assert [(d["index"], d["nvml_index"]) for d in gpus(found)] == [(0, 6), (1, 1)]
    assert found["remarks"] == ["CUDA_VISIBLE_DEVICES='6,1' shows 2 of 8 NVIDIA devices"]


def test_hiding_every_gpu_leaves_the_cpu(detect_in_process: Detect) -> None:
    """An empty CUDA_VISIBLE_DEVICES hides everything, and that is said."""
    found = detect_in_process(FAKE_COUNT=2, CUDA_VISIBLE_DEVICES="")
    assert gpus(found) == []
    assert found["remarks"] == ["CUDA_VISIBLE_DEVICES='' shows 0 of 2 NVIDIA devices"]


def test_a_gpu_that_fell_off_the_bus_does_not_hide_the_others(detect_in_process: Detect) -> None:
    """A lost GPU has no handle; its neighbors are found."""
    found = gpus(detect_in_process(FAKE_COUNT=3, FAKE_LOST=1))
    assert [d["nvml_index"] for d in found] == [0, 2]


def test_mig_slices_are_devices_with_their_own_size(detect_in_process: Detect) -> None:
    """Every slice has its UUID, SMs and memory, and names its GPU."""
    found = gpus(detect_in_process(FAKE_MIG=2))
    assert [d["mig"] for d in found] == ["3g.40gb", "3g.40gb"]
    assert len({d["uuid"] for d in found}) == 2
    assert {d["mig_parent"] for d in found} == {"GPU-00000000-0000-4000-8000-000000000000"}
    assert found[0]["sm_count"] == 60
    assert found[0]["memory_bytes"] == 42_144_366_592
    assert found[0]["profile_id"] == "h100-sxm5-80gb/3g.40gb"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (9, "the NVIDIA driver is there but not loaded (see nvidia-smi)"),
        (4, "no permission to use the NVIDIA driver (/dev/nvidia*)"),
        (18, "the NVIDIA driver and its library differ in version (the driver was updated: reboot)"),
    ],
)
def test_a_driver_that_does_not_start_is_a_sentence(
    detect_in_process: Detect, code: int, sentence: str
) -> None:
    """No driver, a broken one and a forbidden one are remarks, and the CPU is still there."""
    found = detect_in_process(FAKE_INIT=code)
    assert gpus(found) == []
    assert found["remarks"] == [sentence]


def test_cudas_own_numbers_replace_the_guess_where_cuda_knows_every_gpu() -> None:
    """CUDA's ordinals reorder the devices, its SM counts and L2 sizes fill in."""
    first, second = gpu(uuid="GPU-aa-1", sm_count=None), gpu(uuid="GPU-bb-2", index=1)
    cuda = {
        digits("gpu-bb-2"): CudaDevice(0, 132, 50 << 20, 1980),
        digits("gpu-aa-1"): CudaDevice(1, 114, None, 1755),
    }
    joined = join((first, second), cuda)
    assert [(d.id, d.uuid, d.sm_count) for d in joined] == [
        ("cuda:0", "GPU-bb-2", 132),
        ("cuda:1", "GPU-aa-1", 114),
    ]
    assert joined[0].llc_bytes == 50 << 20
    assert joined[1].rated_sm_clock_mhz == 1755


def test_a_device_cuda_does_not_know_keeps_the_order() -> None:
    """One process sees a single MIG slice; the others keep their numbers."""
    first, second = gpu(uuid="MIG-aa"), gpu(uuid="MIG-bb", index=1)
    joined = join((first, second), {digits("MIG-bb"): CudaDevice(0, 60, None, None)})
    assert [d.uuid for d in joined] == ["MIG-aa", "MIG-bb"]


def doctor(environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `quantroof doctor --json` in a real process."""
    done = subprocess.run(
        [sys.executable, "-m", "quantroof", "doctor", "--json"],
        env=environment,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.returncode, json.loads(done.stdout)


def codes(document: dict[str, Any], level: str) -> set[str]:
    """Codes of the first device's checks at a level."""
    return {check["code"] for check in document["devices"][0]["checks"] if check["level"] == level}


def test_doctor_reports_hardware_faults_as_findings(environment_of: Environment) -> None:
    """Slowdown bits, ECC errors, a lowered power limit, missing SMs and lanes are warnings: exit code 1."""
    code, document = doctor(
        environment_of(
            FAKE_REASONS=0x48,
            FAKE_POWER=500000,
            FAKE_CORES=130 * 128,
            FAKE_LANES=8,
            FAKE_ECC_ERRORS=3,
            FAKE_ROWS_PENDING=1,
        )
    )
    assert code == 1
    found = {"slowdown", "ecc_errors", "row_remapping", "power_cap", "sm_count", "pcie_width"}
    assert codes(document, "warning") == found


@pytest.mark.parametrize(
    ("fake", "index", "answering"),
    [
        ({"FAKE_COUNT": 3, "FAKE_LOST": 1}, 1, 2),
        ({"FAKE_ALL": 15}, 0, 0),
        ({"FAKE_ALL": 16}, 0, 0),
        ({"FAKE_ALL": 8}, 0, 0),
    ],
    ids=["no handle", "lost", "reset required", "no power"],
)
def test_a_gpu_that_does_not_answer_is_a_warning(
    fake: dict[str, int], index: int, answering: int, detect_in_process: Detect
) -> None:
    """NVML counts it, and it is lost, needs a reset or lacks power: its index and NVML's words."""
    detected = detect_in_process(**fake)
    (fault,) = detected["faults"]

    assert len(gpus(detected)) == answering
    assert (fault["level"], fault["code"]) == ("warning", "gpu_lost")
    assert fault["text"].startswith(f"GPU {index} does not answer: ")


def test_doctor_names_a_gpu_that_does_not_answer(environment_of: Environment) -> None:
    """The other GPUs are fine, and the exit code is 1."""
    code, document = doctor(environment_of(FAKE_COUNT=3, FAKE_LOST=1))

    assert code == 1
    assert "gpu_lost" in {check["code"] for check in document["machine"]}


def test_a_gpu_that_lacks_one_answer_is_not_lost(detect_in_process: Detect) -> None:
    """Not supported (3) is an answer of a GPU that works."""
    assert len(gpus(detect_in_process(FAKE_ALL=3))) == 1


@pytest.mark.parametrize(("refusal", "broken"), [(12, False), (9, True), (18, True), (999, True)])
def test_a_driver_that_does_not_start_is_a_warning(
    refusal: int, broken: bool, detect_in_process: Detect
) -> None:
    """No library (12) is a machine without a GPU; a driver that is there and refuses would hide one."""
    faults = detect_in_process(FAKE_INIT=refusal)["faults"]

    assert [(fault["level"], fault["code"]) for fault in faults] == [("warning", "driver")] * broken


def test_a_run_on_the_cpu_names_the_driver_that_does_not_start(environment_of: Environment) -> None:
    """Nobody asked for the CPU, so the line is there before anything is measured."""
    done = subprocess.run(
        [sys.executable, "-m", "quantroof", "run", "--suite", "quick", "--dry-run"],
        env=environment_of(FAKE_INIT=18), capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip

    assert done.stderr.startswith("warning: the NVIDIA driver and its library differ in version")


def test_doctor_notes_what_a_driver_does_not_offer(environment_of: Environment) -> None:
    """No energy counter and no permission for processes are not faults, and nothing is invented for them."""
    _, document = doctor(environment_of(FAKE_NO_ENERGY=1, FAKE_FORBIDDEN=1, FAKE_DRAW=-1, FAKE_ECC=0))
    assert codes(document, "warning") == set()
    assert codes(document, "note") == {"energy", "ecc_off"}
    state = document["devices"][0]["state"]
    assert state["process_ids"] is None
    assert state["power_w"] is None


def test_doctor_sees_who_else_uses_the_gpu(environment_of: Environment) -> None:
    """A foreign compute process is a finding, named by its pid."""
    _, document = doctor(environment_of(FAKE_PROCESSES=1))
    (busy,) = [c for c in document["devices"][0]["checks"] if c["code"] == "busy"]
    assert "4242" in busy["text"]


def test_doctor_finds_a_torch_that_cannot_be_imported(environment_of: Environment, tmp_path: Path) -> None:
    """As where its CUDA libraries are missing: a warning with torch's own words, and exit code 1."""
    pytest.importorskip("torch", reason="doctor tells one that is there from one that works")
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open shared object file')")
    environment = environment_of()
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
    code, document = doctor(environment)
    (check,) = document["checks"]

    assert code == 1
    assert (check["level"], check["code"]) == ("warning", "torch")
    assert "cannot be imported: ImportError: libcudart.so.13" in check["text"]


def test_doctor_without_a_driver_is_content_with_the_cpu() -> None:
    """No GPU is a plain sentence and exit code 0."""
    pytest.importorskip("torch", reason="without it doctor has a warning")
    import ctypes

    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        done = subprocess.run(
            [sys.executable, "-m", "quantroof", "doctor"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert "no NVIDIA driver (libnvidia-ml.so.1 not found)" in done.stdout
        assert "the CPU can be measured" in done.stdout
    else:
        pytest.skip("there is an NVIDIA driver here")
