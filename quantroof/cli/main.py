"""The command line: finds the commands, and turns every error into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.exceptions import Exit, NoArgsIsHelpError

from quantroof import __version__
from quantroof.cli.groups import SuggestingGroup
from quantroof.cli.streams import discard_output, harden, say
from quantroof.errors import ExitCode, QuantroofError, UsageError, described, shortened

_COMMANDS = Path(__file__).parent / "commands"
_TRACEBACK = "QUANTROOF_TRACEBACK"


class _CommandFolder(SuggestingGroup):
    """A group whose commands are the modules of `commands/`, imported when they are asked for.

    A command module defines `command`; heavy imports (torch, pandas, plotly) belong inside its function, so
    that `quantroof --help` stays quick.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(self._modules())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        name = self._modules().get(cmd_name)
        if name is None:
            return None
        module = importlib.import_module(f"quantroof.cli.commands.{name}")
        command: click.Command = module.command
        return command

    def _modules(self) -> dict[str, str]:
        """Module names by command; a word of Python's own has an underscore behind it (`import_`)."""
        names = (module.name for module in pkgutil.iter_modules([str(_COMMANDS)]))
        return {name.rstrip("_").replace("_", "-"): name for name in names}

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _exits_explained():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _exits_explained():
            return super().invoke(ctx)


@contextmanager
def _exits_explained() -> Iterator[None]:
    """Exit with 141 for a broken pipe alone; click and rich exit over it like any code that we run."""
    try:
        yield
    except BrokenPipeError as error:
        raise Exit(ExitCode.READER_LEFT) from error
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            raise Exit(ExitCode.READER_LEFT) from error
        raise UsageError(f"a kernel or a library called sys.exit({error.code!r})") from error


@click.command(cls=_CommandFolder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", prog_name="quantroof")
@click.option(
    "--profiles",
    multiple=True,
    type=click.Path(path_type=Path),
    help="TOML file of hardware profiles for boards that are not listed. Repeatable.",
)
def cli(profiles: tuple[Path, ...]) -> None:
    """Benchmark number formats and report how close they come to the roofline of your GPU.

    \b
    quantroof doctor              what is here, and is it fit to be measured?
    quantroof run                 run a suite on every device, into runs/
    quantroof report RUN          one HTML file of a run
    """
    if profiles:
        from quantroof.hwprofiles import catalog

        for file in profiles:
            catalog.add(file)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code of what happened.

    Without arguments the process is the command's own, and so are its streams.
    """
    if arguments is None:
        harden()
        _must_have_a_folder()
    try:
        code = cli.main(args=arguments, prog_name="quantroof", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, so that a full disk or a reader that left is still an exit code
    except QuantroofError as error:
        say(f"error: {error}")
        code = error.exit_code
    except click.ClickException as error:
        _show(error)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        discard_output()
        code = ExitCode.READER_LEFT
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(shortened(f"error: {where}{error.strerror or error}"))
        discard_output()
        code = ExitCode.ENVIRONMENT
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        code = _unexpected(error)
    sys.exit(int(code or 0))


def _must_have_a_folder() -> None:
    """Exit code 3 in a working directory that was removed: libraries fail there with errors of their own."""
    try:
        Path.cwd()
    except OSError as error:
        say(f"error: the working directory cannot be used: {error.strerror} (cd to one that exists)")
        sys.exit(int(ExitCode.ENVIRONMENT))


def _unexpected(error: Exception) -> ExitCode:
    """One line for what nothing foresaw: a limit of the host, a broken library, or a defect of ours."""
    what = described(error)
    if isinstance(error, MemoryError) or "can't start new thread" in str(error):
        say(f"error: the memory or processes allowed here are used up, {what} (ulimit -a shows the limits)")
        return ExitCode.ENVIRONMENT
    if isinstance(error, ImportError) and not (error.name or "").startswith("quantroof"):
        say(f"error: a library cannot be imported, {what} (quantroof doctor examines it)")
        return ExitCode.ENVIRONMENT
    hint = f"{_TRACEBACK}=1 shows where; please report it"
    say(f"error: a bug in quantroof: {what} ({hint})")
    return ExitCode.DEFECT


def _show(error: click.ClickException) -> None:
    """One line for click's own errors as well; a command that was given nothing shows its help."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None or isinstance(error, NoArgsIsHelpError):
        error.show()
        return
    text = shortened(" ".join(error.format_message().split()))
    say(f"error: {text} ({context.command_path} --help)")
