"""The ready workflows and the policy in docs/ci say nothing that the commands do not know."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from quantroof.cli.commands import gate, history, run
from quantroof.cli.gate import baseline
from quantroof.gate.policy import read_policy

DOCS = Path(__file__).parent.parent.parent / "docs"


def _options() -> set[str]:
    own = [gate.command, *gate.command.commands.values()]
    commands: list[click.Command] = [run.command, history.command, *own]
    commands += baseline.command.commands.values()
    return {option for command in commands for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("file", ["ci/github.yml", "ci/gitlab.yml", "gate.md"])
def test_every_option_named_exists(file: str) -> None:
    """An option of quantroof that a page or workflow names is one of its commands' own."""
    text = (DOCS / file).read_text()
    named = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", text))
    foreign = {name for name in named if name.startswith("--benchmark")} | {
        "--to",
        "--quantroof-suite",
        "--quantroof-out",
    }

    assert named - foreign - {"--kernel"} <= _options() | {"--suite"}


def test_the_policy_is_one_and_so_are_its_commented_parts() -> None:
    """docs/ci/gate.toml reads as it stands, and with its examples uncommented."""
    file = DOCS / "ci" / "gate.toml"
    assert read_policy(file).relative == 0.01


def test_the_policys_examples_are_valid(tmp_path: Path) -> None:
    """The waiver and the floor that are commented out there are what the reader expects."""
    text = (DOCS / "ci" / "gate.toml").read_text()
    uncommented = re.sub(r"^# (?=\[|\w+ = |\")", "", text, flags=re.MULTILINE)
    (tmp_path / "gate.toml").write_text(uncommented)
    policy = read_policy(tmp_path / "gate.toml")

    assert policy.waiver[0].issue == "#77"
    assert policy.min_roof == {"int4-w4a16": 0.5}
