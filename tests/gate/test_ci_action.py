"""The GitHub action and the GitLab component: schema, scripts with a stub, and no input in shell text."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML comes with kubernetes-validate")
ROOT = Path(__file__).parent.parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
SPEC, JOBS = yaml.safe_load_all((ROOT / "templates" / "gate.yml").read_text())
STUB = """#!/bin/bash
printf '%s\\n' "$@" >> words.txt
echo "a table"
[ -z "$SELECTS" ] || printf 'a k\\nb k\\n' > quantroof-cases.txt
"""
HOSTILE = "x$(touch pwned)`touch pwned`; touch pwned"


def test_the_action_has_what_the_metadata_syntax_asks_for() -> None:
    """Name, description, described inputs and outputs; every step that runs text names its shell."""
    assert {"name", "description", "inputs", "outputs", "runs"} == set(ACTION)
    assert ACTION["runs"]["using"] == "composite"
    assert all(one["description"] for one in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))
    assert all("value" in one for one in ACTION["outputs"].values())
    assert all(step["shell"] == "bash" for step in ACTION["runs"]["steps"])


def test_no_input_is_pasted_into_shell_text() -> None:
    """Expressions are in `env`, `if` and values only; on GitLab in variables, stages and tags."""
    scripts = [step["run"] for step in ACTION["runs"]["steps"]]
    scripts += [line for job in JOBS.values() for line in job["script"]]

    assert not any("${{" in text or "$[[" in text for text in scripts)


def _step(name: str) -> dict[str, Any]:
    step: dict[str, Any] = next(one for one in ACTION["runs"]["steps"] if one.get("id") == name)
    return step


def _run(folder: Path, name: str, **variables: str) -> dict[str, str]:
    stub = folder / "bin" / "quantroof"
    stub.parent.mkdir()
    stub.write_text(STUB)
    stub.chmod(0o755)
    step = _step(name)
    inputs = {
        key: value.removeprefix("${{ inputs.").removesuffix(" }}") for key, value in step["env"].items()
    }
    given = {key: variables.pop(own, ACTION["inputs"][own]["default"]) for key, own in inputs.items()}
    environment = {
        **os.environ, **given, "PATH": f"{stub.parent}:{os.environ['PATH']}", "GITHUB_BASE_REF": "main",
        "GITHUB_OUTPUT": "output.txt", "GITHUB_STEP_SUMMARY": "summary.md", **variables,
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = (folder / "output.txt").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize(("selects", "selected"), [("yes", "2"), ("", "0")])
def test_select_gives_its_count_its_list_and_a_comment(tmp_path: Path, selects: str, selected: str) -> None:
    """Against the branch of the pull request; without a selection the list is empty."""
    outputs = _run(tmp_path, "select", SELECTS=selects)
    words = (tmp_path / "words.txt").read_text().splitlines()

    assert outputs["selected"] == selected
    assert ("cases" in outputs) == (selected != "0")
    assert (tmp_path / outputs["comment"]).read_text() == "a table\n"
    assert (tmp_path / "summary.md").read_text() == "a table\n"
    assert words[:5] == ["gate", "select", "--base", "origin/main", "--arch"]


@pytest.mark.parametrize("step", ["select", "gate"])
def test_a_hostile_branch_is_one_word(tmp_path: Path, step: str) -> None:
    """No command of a branch's name is carried out."""
    _run(tmp_path, step, base=HOSTILE, SELECTS="")

    assert HOSTILE in (tmp_path / "words.txt").read_text().splitlines()
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("cases", ["", "my cases.txt"])
def test_the_gate_takes_the_list_of_select(tmp_path: Path, cases: str) -> None:
    """One word, or the whole suite without an input; the component always has a list."""
    _run(tmp_path, "gate", cases=cases)
    words = (tmp_path / "words.txt").read_text().splitlines()

    assert ([words[words.index("--cases") + 1]] if "--cases" in words else []) == ([cases] if cases else [])
    assert "--cases quantroof-cases.txt" in "\n".join(JOBS["quantroof-gate"]["script"])


@pytest.mark.parametrize("suite", ["", "my suite.toml"])
def test_a_suite_is_one_word_or_absent(tmp_path: Path, suite: str) -> None:
    """Without an input `gate select` takes the suite of gate.toml."""
    _run(tmp_path, "select", SELECTS="", SUITE=suite)
    words = (tmp_path / "words.txt").read_text().splitlines()

    assert ([words[words.index("--suite") + 1]] if "--suite" in words else []) == ([suite] if suite else [])


@pytest.mark.parametrize("code", [0, 3])
def test_a_select_that_fails_fails_its_job_on_gitlab(tmp_path: Path, code: int) -> None:
    """The job ends with the exit code of `gate select`, in the plainest shell, without pipefail."""
    stub = tmp_path / "quantroof"
    stub.write_text(f"#!/bin/bash\necho a table\nexit {code}\n")
    stub.chmod(0o755)
    lines = [line for line in JOBS["quantroof-select"]["script"] if not line.startswith(("pip ", "git "))]
    done = subprocess.run(
        ["sh", "-ec", "\n".join(lines)],
        cwd=tmp_path, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "QUANTROOF_ARCH": "a"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == code
    assert (tmp_path / "quantroof-select.md").read_text() == "a table\n"


def test_the_component_declares_every_input_that_it_uses() -> None:
    """Its first document is the specification, its second the jobs."""
    text = (ROOT / "templates" / "gate.yml").read_text().partition("\n---\n")[2]
    used = {part.partition(" ]]")[0] for part in text.split("$[[ inputs.")[1:]}

    assert set(SPEC["spec"]["inputs"]) == used
    assert set(JOBS) == {"quantroof-select", "quantroof-gate"}
    assert JOBS["quantroof-gate"]["needs"] == ["quantroof-select"]
