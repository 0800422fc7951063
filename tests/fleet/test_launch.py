"""Launch adapters: scripts and manifests as text, and real sweeps where the engine is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from quantroof.cli.main import main
from quantroof.errors import UsageError
from quantroof.fleet.launch.kubernetes import job_manifest
from quantroof.fleet.launch.options import LaunchOptions, checked_options, read_nodes, silent_nodes
from quantroof.fleet.launch.slurm import sbatch_script
from quantroof.fleet.launch.task import run_task
from quantroof.records.directory import read_run

JOB = LaunchOptions(
    folder="/shared/a sweep", run_options=("--suite", "node", "--format", "bf16;rm"), minutes=20
)
SIM = "sim:h100-sxm5-80gb"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The Slurm script for two nodes, in a folder with blanks."""
    file = tmp_path / "sweep.sh"
    job = LaunchOptions(folder=str(tmp_path / "a sweep"), run_options=("--suite", "quick"), retries=1)
    file.write_text(sbatch_script(job, ["n1", "n2.site.org"]))
    return file


def tools(folder: Path, **bodies: str) -> dict[str, str]:
    """An environment whose PATH starts with little scripts that stand for Slurm's and our commands."""
    folder.mkdir()
    for name, body in bodies.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
    return {**clean, "PATH": f"{folder}:{os.environ['PATH']}"}


def bash(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run bash."""
    return subprocess.run(["bash", *arguments], env=env, capture_output=True, text=True, check=False)


def test_the_slurm_script_is_bash_with_the_directives(script: Path) -> None:
    """`bash -n` accepts it, and every directive stands before the first command, where sbatch reads it."""
    lines = script.read_text().splitlines()
    head = lines[: next(i for i, line in enumerate(lines) if line and not line.startswith("#"))]
    wanted = {"--nodes=1", "--exclusive", "--gpus-per-node=8", "--time=30", "--requeue", "--ntasks=1"}

    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert wanted <= {line.removeprefix("#SBATCH ") for line in head if line.startswith("#SBATCH ")}


def test_the_slurm_script_submits_itself_once_a_node(script: Path, tmp_path: Path) -> None:
    """By hand it calls sbatch for every node, and leaves their names for --expect."""
    env = tools(tmp_path / "bin", sbatch='printf "%s|" "$@"; echo')
    done = bash(str(script), "--partition=gpu", env=env)
    folder = tmp_path / "a sweep"

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"--nodelist=n1|--output={folder}/n1.log|--partition=gpu|{script}|"
    assert read_nodes(str(folder / "nodes.txt")) == ["n1", "n2.site.org"]


def test_the_slurm_script_resumes_after_a_crash(script: Path, tmp_path: Path) -> None:
    """In a job it runs; a run that ended badly is resumed, and exit code 1 is a whole run."""
    body = """echo "$@" >> "$LOG"
case "$*" in *--resume*) exit 1;; esac
mkdir -p "$6"; touch "$6/run.jsonl"; exit 137"""
    log = tmp_path / "log"
    env = tools(tmp_path / "bin", quantroof=body) | {
        "SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1", "LOG": str(log),
    }  # fmt: skip
    done = bash(str(script), env=env)
    run = tmp_path / "a sweep" / "run-n1"

    assert done.returncode == 1, done.stderr
    assert log.read_text().splitlines() == [
        f"run --quiet --device cuda --out {run} --suite quick",
        f"run --quiet --resume {run}",
    ]


@pytest.mark.parametrize(("code", "attempts"), [(2, 1), (3, 2)])
def test_the_slurm_script_repeats_what_may_pass(
    script: Path, tmp_path: Path, code: int, attempts: int
) -> None:
    """A mistake in the options (2) ends the job at once; a node that was not ready (3) gets its second
    attempt."""
    log = tmp_path / "log"
    env = tools(tmp_path / "bin", quantroof=f'echo once >> "$LOG"; exit {code}')
    done = bash(str(script), env=env | {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1", "LOG": str(log)})

    assert done.returncode == code
    assert len(log.read_text().splitlines()) == attempts


def test_options_are_quoted_and_node_names_checked() -> None:
    """Nothing that a user gives becomes shell."""
    text = sbatch_script(JOB, ["n1"])

    assert "'bf16;rm'" in text
    assert "folder='/shared/a sweep'" in text
    with pytest.raises(UsageError, match="is not a host name"):
        sbatch_script(JOB, ["n1; reboot"])
    with pytest.raises(UsageError, match="set by the launcher"):
        checked_options(["--out=here"])
    with pytest.raises(UsageError, match="put it before the --"):
        checked_options(["--device", "cpu"])


def test_a_sweep_without_gpus_names_its_device() -> None:
    """`--device` reaches every engine's command, quoted."""
    job = LaunchOptions(folder="/s", run_options=(), device="sim:h100-sxm5-80gb*8; rm")

    assert "--device 'sim:h100-sxm5-80gb*8; rm' --out" in sbatch_script(job, ["n1"])
    assert (
        "--device 'sim:h100-sxm5-80gb*8; rm' --out"
        in json.loads(job_manifest(job, 1, "i", "c"))["spec"]["template"]["spec"]["containers"][0]["command"][
            2
        ]
    )


def test_the_kubernetes_manifest() -> None:
    """A pod per node, whole GPUs, an index tried again, quoted options."""
    manifest = json.loads(job_manifest(JOB, 5, "site/quantroof:1", "results"))
    spec = manifest["spec"]
    pod = spec["template"]["spec"]
    command = pod["containers"][0]["command"][2]

    assert (spec["completions"], spec["completionMode"], spec["backoffLimitPerIndex"]) == (5, "Indexed", 2)
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "8"}
    assert pod["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule"
    assert "'bf16;rm'" in command
    assert subprocess.run(["bash", "-n", "-c", command], check=False).returncode == 0


def test_the_kubernetes_manifest_fits_the_published_schema() -> None:
    """Kubernetes' own OpenAPI schema, strictly: an unknown field is an error."""
    validator = pytest.importorskip("kubernetes_validate")
    manifest = json.loads(job_manifest(JOB, 5, "site/quantroof:1", "results"))
    validator.validate(manifest, "1.29", strict=True)
    manifest["spec"]["completionsMode"] = "Indexed"

    with pytest.raises(validator.ValidationError):
        validator.validate(manifest, "1.29", strict=True)


def test_a_task_is_a_run_and_a_cut_one_is_resumed(tmp_path: Path) -> None:
    """Python engines start this; a second attempt goes on in the same directory."""
    directory = tmp_path / "run-0"
    first = run_task(str(directory), ("--suite", "quick"), SIM, 5)
    lines = (directory / "run.jsonl").read_text().splitlines(keepends=True)
    (directory / "run.jsonl").write_text("".join(lines[:10]))
    run_task(str(directory), ("--suite", "quick"), SIM, 5)

    assert first.exit_code == 0
    assert read_run(directory).complete
    with pytest.raises(RuntimeError, match=r"exit code 2: .*nonesuch"):
        run_task(str(tmp_path / "run-1"), ("--suite", "nonesuch"), SIM, 5)


def test_silent_nodes_are_named() -> None:
    """Short names stand for full ones."""
    assert silent_nodes(["a", "b.x", "c"], ["a.x", "b"]) == ["c"]


@pytest.mark.parametrize(("engine", "options"), [("ray", ["--count", "2"]), ("submitit", ["--nodes", "a,b"])])
def test_a_missing_engine_says_what_to_install(
    engine: str, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One line, exit code 3."""
    monkeypatch.setitem(__import__("sys").modules, engine, None)
    with pytest.raises(SystemExit) as ended:
        main(["fleet", "launch", "--engine", engine, "--folder", str(tmp_path), *options])

    assert ended.value.code == 3
    assert f"(pip install '{engine}>=" in capsys.readouterr().err


def test_the_command_prints_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    """Options after the engine's own go to `quantroof run`."""
    engine = "fleet launch --engine slurm --folder /s --nodes a,b --"
    with pytest.raises(SystemExit) as ended:
        main([*engine.split(), "--suite", "node"])

    assert ended.value.code == 0
    assert '--out "$run" --suite node' in capsys.readouterr().out
