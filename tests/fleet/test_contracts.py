"""The files for hosts (docs/slurm, docs/kubernetes, Containerfile): schemas, exit codes, stand-in hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quantroof.fleet.contracts import CONTRACTS
from quantroof.fleet.next_steps import REASON_LENGTH
from tests.fleet.runs import node_run, stored

ROOT = Path(__file__).parents[2]
SLURM, KUBERNETES = ROOT / "docs" / "slurm", ROOT / "docs" / "kubernetes"
LINE = "quantroof failed: GPU 2 0000:1a:00.0 12 uncorrectable errors"
SCRIPTS = {name: SLURM / f"{name}.sh" for name in ("prolog", "epilog", "healthcheck")}
SCRIPTS["npd"] = KUBERNETES / "npd-quantroof.sh"
# What each script makes of quantroof's exit code: ok, finding, usage or npd's unknown, no GPU, undecided,
# defect, interrupted, and 127 where quantroof is not installed.
ENDS = (0, 1, 2, 3, 4, 70, 130, 127)
CODES = {
    "prolog": (0, 1, 0, 0, 0, 0, 0, 0),
    "epilog": (0, 1, 0, 0, 0, 0, 0, 0),
    "healthcheck": (0, 0, 0, 0, 0, 0, 0, 0),
    "npd": (0, 1, 2, 2, 2, 2, 2, 2),
}


def executable(path: Path, body: str) -> Path:
    """A shell script that can be started."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def started(script: Path, tmp_path: Path, quantroof: str, **settings: str) -> tuple[int, str, list[str]]:
    """Exit code and output of a script, and what it asked of a stand-in for scontrol."""
    log = tmp_path / "scontrol.log"
    scontrol = executable(tmp_path / "scontrol", f"printf '%s\\n' \"$@\" >>'{log}'")
    environment = {
        **os.environ,
        "QUANTROOF": quantroof,
        "SCONTROL": str(scontrol),
        "SLURMD_NODENAME": "gpu-07",
        "QUANTROOF_PAST": "",
    }
    done = subprocess.run(
        ["bash", str(script)], env={**environment, **settings}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_every_exit_code_of_quantroof_has_one_of_the_host(script: str, tmp_path: Path) -> None:
    """Only a finding drains a node; only a finding is a problem for node-problem-detector."""
    codes = []
    for code in ENDS:
        program = executable(tmp_path / "quantroof", f"echo '{LINE}'; exit {code}")
        name = str(tmp_path / "absent") if code == 127 else str(program)
        codes.append(started(SCRIPTS[script], tmp_path, name)[0])

    assert tuple(codes) == CODES[script]


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_script_parses_and_passes_the_contract_and_the_options(script: str, tmp_path: Path) -> None:
    """bash -n; a contract that the command has; the site's options behind it, as separate words."""
    program = executable(tmp_path / "quantroof", 'echo "$@"')
    options = f"QUANTROOF_{script.upper()}_OPTIONS"
    _, out, _ = started(SCRIPTS[script], tmp_path, str(program), **{options: "--expect-gpus 8"})
    words = out.split()

    assert subprocess.run(["bash", "-n", str(SCRIPTS[script])], check=False).returncode == 0
    assert words[:3] == ["doctor", "--prolog", "--contract"]
    assert words[3] == ("npd" if script == "npd" else "slurm")
    assert words[4:] == ["--expect-gpus", "8"]


@pytest.mark.parametrize("script", ["prolog", "epilog", "healthcheck"])
def test_slurms_scripts_keep_the_past_of_the_node(script: str, tmp_path: Path) -> None:
    """The folder is made, and an --out of the site comes behind it; one that cannot be made is left out."""
    program = executable(tmp_path / "quantroof", 'printf "%s\\n" "$@"')
    past, options = tmp_path / "state of" / "prolog", f"QUANTROOF_{script.upper()}_OPTIONS"
    given = {"QUANTROOF_PAST": str(past), options: "--out x"}
    kept = started(SCRIPTS[script], tmp_path, str(program), **given)[1].splitlines()
    (tmp_path / "file").touch()
    beside = started(SCRIPTS[script], tmp_path, str(program), QUANTROOF_PAST=str(tmp_path / "file" / "past"))

    assert past.is_dir()
    assert kept[4:] == ["--out", str(past), "--out", "x"]
    assert len(beside[1].splitlines()) == 4


@pytest.mark.parametrize(
    ("code", "text", "asks"), [(1, LINE, True), (0, LINE, False), (4, LINE, False), (1, "", False)]
)
def test_the_health_check_drains_for_a_finding_alone(
    code: int, text: str, asks: bool, tmp_path: Path
) -> None:
    """slurmd ignores the exit code of a health check: scontrol gets the node and the line as one word."""
    program = executable(tmp_path / "quantroof", f"printf '%s' '{text}'; exit {code}")
    words = started(SCRIPTS["healthcheck"], tmp_path, str(program))[2]

    assert words == (["update", "nodename=gpu-07", "state=drain", f"reason={LINE}"] if asks else [])


@pytest.mark.long
def test_scripts_under_a_stand_in_host_judge_a_node(tmp_path: Path) -> None:
    """The command itself behind each script: a planted ECC error drains, and a sound node does not."""
    program = executable(tmp_path / "quantroof", f'exec "{sys.executable}" -m quantroof "$@"')
    bad, sound = "--device sim:h100-sxm5-80gb*8+ecc@1", "--device sim:h100-sxm5-80gb*8"
    code, _, words = started(
        SCRIPTS["healthcheck"], tmp_path, str(program), QUANTROOF_HEALTHCHECK_OPTIONS=bad
    )
    npd = started(SCRIPTS["npd"], tmp_path, str(program), QUANTROOF_NPD_OPTIONS=bad)
    epilog = started(SCRIPTS["epilog"], tmp_path, str(program), QUANTROOF_EPILOG_OPTIONS=sound)

    assert code == 0
    assert words[-1].startswith("reason=quantroof SIMULATED failed: GPU 1 ")
    assert (npd[0], epilog[0]) == (1, 0)
    assert len(npd[1].rstrip("\n")) <= REASON_LENGTH


def document(name: str) -> Any:
    """A file of docs/kubernetes."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((KUBERNETES / name).read_text())


def test_containers_fit_the_schema_of_kubernetes() -> None:
    """The DaemonSet, and the preflight check as an init container, by the strict schema; neither is root."""
    validator = pytest.importorskip("kubernetes_validate")
    daemons = document("textfile-daemonset.yaml")
    check = dict(document("preflight-values.yaml")["preflight"]["initContainers"][0])
    check["image"] = ":".join(check["image"].values())
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "job"},
        "spec": {"initContainers": [check], "containers": [{"name": "job", "image": "job"}]},
    }  # fmt: skip
    for manifest in (daemons, pod):
        validator.validate(manifest, "1.29", strict=True)

    assert check["securityContext"]["runAsNonRoot"]
    assert daemons["spec"]["template"]["spec"]["securityContext"]["runAsUser"] > 0


def test_commands_in_manifests_name_contracts_that_exist() -> None:
    """NVSentinel's codes in both of its files, and the test that the request names is declared."""
    check = document("preflight-values.yaml")["preflight"]["initContainers"][0]
    tests = document("validation-values.yaml")["lifecycle-manager"]["config"]["tests"]
    commands = [check["command"] + check["args"], *(test["command"] for test in tests.values())]

    for command in commands:
        assert command[:3] == ["quantroof", "doctor", "--prolog"]
        assert command[command.index("--contract") + 1] == "nvsentinel"
        assert "nvsentinel" in CONTRACTS
    assert set(document("validation-request.yaml")["spec"]["tests"]) <= set(tests)


def test_the_plugin_leaves_time_for_the_check() -> None:
    """node-problem-detector ends a plugin at its timeout, which no rule may exceed, and cuts its text."""
    plugin = document("npd-quantroof.json")
    settings, rule = plugin["pluginConfig"], plugin["rules"][0]

    assert float(settings["timeout"].rstrip("s")) >= float(rule["timeout"].rstrip("s")) > 15
    assert settings["max_output_length"] == REASON_LENGTH
    assert rule["condition"] in [condition["type"] for condition in plugin["conditions"]]
    assert Path(rule["path"]).name == SCRIPTS["npd"].name


@pytest.mark.long
def test_the_daemon_writes_the_textfile(tmp_path: Path) -> None:
    """Its own shell line, run once over a simulated node's run; a stand-in for sleep ends the loop."""
    stored(tmp_path / "runs", [node_run("node-0")])
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin" / "quantroof", f'exec "{sys.executable}" -m quantroof "$@"')
    executable(tmp_path / "bin" / "sleep", "exit 1")
    container = document("textfile-daemonset.yaml")["spec"]["template"]["spec"]["containers"][0]
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "RUNS": str(tmp_path / "runs"), "TEXTFILE": str(tmp_path)}
    subprocess.run(
        [*container["command"], *container["args"]],
        env=environment,
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert (tmp_path / "quantroof.prom").read_text().endswith("# EOF\n")
    assert {one["name"] for one in container["env"]} == {"RUNS", "TEXTFILE"}


def test_the_image_is_not_root_and_of_no_architecture() -> None:
    """The last user is a number above zero, set after RUN and COPY; no line names an architecture."""
    text = (ROOT / "Containerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    users = [number for number, line in enumerate(lines) if line.startswith("USER ")]

    assert re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", lines[users[-1]])
    assert users[-1] > max(n for n, line in enumerate(lines) if line.startswith(("RUN ", "COPY ")))
    assert not re.search(r"x86_64|amd64|aarch64|arm64", "\n".join(lines))
