"""`quantroof quality`: what a number format costs in accuracy, beside what it gains in speed."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from quantroof.cli.groups import SuggestingGroup

_FOLDER = Path(__file__).parent.parent / "quality"


class _Subcommands(SuggestingGroup):
    """Subcommands are the modules of `cli/quality/`, imported when asked for: they bring torch along."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(f.stem.replace("_", "-") for f in _FOLDER.glob("*.py"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"quantroof.cli.quality.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.command(cls=_Subcommands, short_help="What a format costs in accuracy.")
def command() -> None:
    """What a number format costs in accuracy: format errors, studies of a language model, decode speed.

    `formats` needs only torch, `endpoint --import` nothing. The others need the extra `llm` or `serve` and
    say so if it is missing.
    """
