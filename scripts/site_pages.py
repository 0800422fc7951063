"""Pages that the documentation site makes when it is built; mkdocs.yml names this file as its hook.

It adds the commands from click, the public Python names from their docstrings, the pages of the repository
that lie outside docs/, and sample reports. Links that leave docs/ are rewritten: to the page, if the site has
it, or to the file in the repository.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import quantroof
from quantroof.cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "bench/README.md": "reference/suites.md",
    "kernels/README.md": "reference/kernel-files.md",
    "hwprofiles/README.md": "reference/hardware-profiles.md",
    "reports/README.md": "reference/sample-reports.md",
}
"""Pages of the repository outside docs/, with their place in the site."""
_FOLDER = tempfile.TemporaryDirectory(prefix="quantroof-samples-")  # removed when the process ends
_LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
_SAMPLES_HEAD = """# Sample reports

Each page is one file that opens offline. All devices are simulated: the figures are computed from datasheets.

"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for source, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, "reference/commands.md", content=command_reference()))
    files.append(File.generated(config, "reference/python.md", content=python_reference()))
    samples = _samples()
    lines = [f"- [{title}](samples/{page.name})" for title, page in samples.items()]
    files.append(File.generated(config, "samples.md", content=_SAMPLES_HEAD + "\n".join(lines) + "\n"))
    for page in samples.values():
        files.append(File.generated(config, f"samples/{page.name}", abs_src_path=str(page)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page that do not lead to a file of the site under the same name."""
    here = page.file.src_uri
    source = next((outside for outside, place in OUTSIDE.items() if place == here), f"docs/{here}")
    return _LINK.sub(lambda m: m[1] + _target(m[2], source, here, config, files) + m[3], markdown)


def _target(link: str, source: str, here: str, config: MkDocsConfig, files: Files) -> str:
    if "://" in link or link.startswith("mailto:"):
        return link
    path = os.path.normpath(os.path.join(os.path.dirname(source), link))  # noqa: PTH118, PTH120 - a link, not a file
    place = OUTSIDE.get(path, path.removeprefix("docs/"))
    if files.get_file_from_path(place) is not None:
        return os.path.relpath(place, os.path.dirname(here) or ".")  # noqa: PTH120
    if not (ROOT / path).exists():
        raise PluginError(f"{source}: the link {link} leads nowhere")
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{config.repo_url}/{kind}/main/{path}"


def command_reference() -> str:
    """Every command with its help, in the order of the command line."""
    parts = [
        "# Commands\n\nThe help of every command. Which one to use: [commands by task](../commands.md).\n"
    ]
    for name, command in _commands(cli, "quantroof"):
        context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
        depth = "#" * min(len(name.split()), 4)
        parts.append(f"#{depth} {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all that are below it, each with the words that call it."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            if below is not None and not below.hidden:
                yield from _commands(below, f"{name} {word}")


def python_reference() -> str:
    """Every public name of `import quantroof as qr` with its signature and docstring."""
    parts = ["# Python names\n\nExamples: [quantroof in Python](../python.md).\n"]
    for name in quantroof.__all__:
        value = getattr(quantroof, name)
        parts += _entry(f"qr.{name}", value, "##")
        if inspect.isclass(value):
            for member, below in vars(value).items():
                if not member.startswith("_") and inspect.getdoc(_function(below)) and _function(below):
                    parts += _entry(f"{name}.{member}", _function(below), "###")
    return "\n".join(parts)


def _function(member: Any) -> Any:
    """What documents a member of a class: the function of a method or of a property, None for a field."""
    behind = getattr(member, "fget", None) or getattr(member, "func", None) or member
    return behind if inspect.isfunction(behind) else None


def _entry(name: str, value: Any, heading: str) -> list[str]:
    signature = str(inspect.signature(value))
    text = inspect.getdoc(value) or ""
    return [f"{heading} {name}\n", f"```python\n{name}{signature}\n```\n", f"{text}\n"]


@functools.cache
def _samples() -> dict[str, Path]:
    """The title and page of a report per kind of reader, made once even if `mkdocs serve` builds again."""
    folder = Path(_FOLDER.name)
    script = [sys.executable, str(ROOT / "reports" / "make_samples.py"), "--suite", "quick"]
    made = subprocess.run([*script, "--out", str(folder)], capture_output=True, text=True, check=False)
    if made.returncode:
        raise PluginError(f"no sample reports: {made.stderr.strip().splitlines()[-1:]}")
    lines = (line.partition("\t") for line in made.stdout.splitlines())
    return {title: Path(page) for page, _, title in lines}
