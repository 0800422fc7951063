"""The command line: finds the commands, and turns every error into one line and an exit code."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import click

from quantroof import __version__
from quantroof.errors import ExitCode, QuantroofError

_COMMANDS = Path(__file__).parent / "commands"


class _CommandFolder(click.Group):
    """A group whose commands are the modules of `commands/`, imported when they are asked for.

    A command module defines `command`; heavy imports (torch, pandas, plotly) belong inside its function, so
    that `quantroof --help` stays quick.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules([str(_COMMANDS)]))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"quantroof.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.command(cls=_CommandFolder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", prog_name="quantroof")
def cli() -> None:
    """Measure how near every number format comes to the roof of your GPU.

    \b
    quantroof doctor              what is here, and is it fit to be measured?
    quantroof run                 run a suite on every device, into runs/
    quantroof report RUN          one HTML file of a run
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code of what happened."""
    try:
        code = cli.main(args=arguments, prog_name="quantroof", standalone_mode=False)
    except QuantroofError as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # `quantroof show | head`: the reader has what it wanted; keep Python from complaining at exit.
        sys.stdout = None
        code = ExitCode.OK
    sys.exit(int(code or 0))
