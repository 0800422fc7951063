"""Old spellings of options: they still work, and say their new name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from quantroof.cli.output import note


def renamed(old: str, new: str) -> Callable[[Any], Any]:
    """A hidden option `old` whose value becomes that of the option `new`, unless `new` is given, too.

    The value enters as the default of `new`, so it is parsed, checked and refused like that of `new`.
    """

    def adopt(context: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value is None:
            return
        note(f"warning: {old} is now called {new}")
        target = next(param.name for param in context.command.params if new in param.opts)
        context.default_map = {**(context.default_map or {}), str(target): value}

    name = f"old_{old.strip('-').replace('-', '_')}"
    return click.option(old, name, hidden=True, is_eager=True, expose_value=False, callback=adopt)
