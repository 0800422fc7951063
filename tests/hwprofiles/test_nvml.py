"""One GPU behind NVML, in real processes against the fake library."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quantroof.hwprofiles import nvml
from quantroof.kernels.sources import PACKAGE

Environment = Callable[..., dict[str, str]]

_ASK_TWICE = """
import json, msgspec
from quantroof.hwprofiles.detect import detect
from quantroof.hwprofiles.nvml import Board
(gpu,) = detect().gpus
answers = []
for _ in range(2):
    board = Board.of(gpu)
    answers += [board.health(), board.link(), board.counters(processes=True), board.reading()]
print(json.dumps(msgspec.to_builtins(answers)))
"""
_WITHOUT_BINDING = """
import sys
sys.modules["pynvml"] = None  # as where nvidia-ml-py is not installed
from quantroof.hwprofiles.nvml import Board
from tests.hwprofiles.boards import gpu
print(Board.of(gpu()), Board.open("GPU-1"), Board.open(None, 0))
"""


def _output(program: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_process_starts_nvml_once_and_shuts_it_down(environment_of: Environment, tmp_path: Path) -> None:
    """Detection and every reading share one initialization; the shutdown comes when the process ends."""
    log = tmp_path / "log"
    answers: list[Any] = json.loads(_output(_ASK_TWICE, environment_of(FAKE_LOG=log, FAKE_PROCESSES=2)))
    health, link, counters, reading = answers[:4]

    assert log.read_text().split() == ["init", "shutdown"]
    assert (health["sm_clock_mhz"], health["power_w"], health["process_ids"]) == (345, 74.0, [4242, 4243])
    assert (link["generation"], link["width"]) == (5, 16)
    assert counters == {"energy_mj": 2647576, "ecc_errors": 0, "processes": 2}
    assert (reading["sm_mhz"], reading["memory_mhz"], reading["reasons"]) == (345, 2619, 1)


def test_readings_of_an_old_driver_lack_only_what_it_lacks(environment_of: Environment) -> None:
    """Before R535 the clock-event bits have another name; the fake of that time has neither."""
    answers = json.loads(_output(_ASK_TWICE, environment_of(old=True)))

    assert (answers[0]["reasons"], answers[0]["temperature_c"]) == (None, 41)


def test_without_the_binding_no_board_opens(environment_of: Environment) -> None:
    """None, not an exception, where the package nvidia-ml-py is missing."""
    assert _output(_WITHOUT_BINDING, environment_of()).split() == ["None"] * 3


def test_doctor_names_the_missing_binding_in_one_line(environment_of: Environment) -> None:
    """The CPU is examined all the same, and the reason stands among the remarks."""
    program = (
        "import sys; sys.modules['pynvml'] = None; sys.argv = ['quantroof', 'doctor', '--json']\n"
        "from quantroof.cli.main import main\n"
        "main()"
    )
    environment = environment_of()
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    document = json.loads(done.stdout)

    assert document["remarks"] == ["no NVML binding: the package nvidia-ml-py is not installed"]
    assert [entry["device"]["kind"] for entry in document["devices"]] == ["cpu"]
    assert done.stderr == ""


_OLD_BINDING = """
import pynvml
del pynvml.nvmlDeviceGetNumGpuCores
from quantroof.hwprofiles.detect import detect
found = detect()
print(*(device.kind for device in found.devices), *found.remarks, sep="\\n")
"""


def test_a_binding_that_lacks_functions_is_one_sentence(environment_of: Environment) -> None:
    """An old package named pynvml starts the driver and lacks what came later: a remark, not a defect."""
    assert _output(_OLD_BINDING, environment_of()).splitlines() == [
        "cpu", "the NVML binding lacks functions: another package named pynvml hides nvidia-ml-py"
    ]  # fmt: skip


def test_a_binding_without_the_older_name_of_a_function_finds_gpus(environment_of: Environment) -> None:
    """NVIDIA renamed the function of the clock events; a binding may drop the old name."""
    newer = _OLD_BINDING.replace("NumGpuCores", "CurrentClocksThrottleReasons")

    assert _output(newer, environment_of()).splitlines()[:2] == ["cuda", "cpu"]


def test_every_function_that_is_called_is_looked_for() -> None:
    """The list that a binding is held against is that of the source."""
    source = "".join(
        path.read_text() for folder in ("hwprofiles", "bench") for path in (PACKAGE / folder).rglob("*.py")
    )
    called = set(re.findall(r"\.nvml([A-Z]\w+)", source)) - {"Init", "Shutdown"}

    assert set(nvml._FUNCTIONS.split()) == called
