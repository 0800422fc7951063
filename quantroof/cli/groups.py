"""Groups of commands: an unknown name is answered with the nearest ones."""

from __future__ import annotations

from typing import Any

import click

from quantroof.errors import unknown_name


class SuggestingGroup(click.Group):
    """A click group whose error for an unknown command names the commands that it could be.

    `help` in front is `--help` at the end, as in `quantroof help run`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, with a leading `help` moved; no command has that name."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command of the first argument; UsageError with the nearest names where there is none."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise unknown_name("command", args[0], self.list_commands(ctx), where=ctx.command_path)
        return super().resolve_command(ctx, args)
