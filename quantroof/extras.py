"""The optional packages of this project: which are missing, for what, and the line that installs them."""

from __future__ import annotations

import re

PURPOSES = {
    "store": "Parquet, `history --store`, `compact`",
    "llm": "`quality study`, `quantize`, `sensitivity`, `memory --load` and `decode`",
    "lm-eval": "`quality lm-eval`",
    "serve": "load on a served model (`quality endpoint`)",
    "pytest": "the pytest fixture `gpu_benchmark`",
    "slurm": "`fleet launch submitit`",
    "ray": "`fleet launch ray`",
    "bucket": "runs in object stores (`fleet s3://...`)",
}
"""What each extra is for, in the words of its commands."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TORCH = "pip install torch; https://pytorch.org/get-started/locally has the line for this machine"


def install_hint(extra: str) -> str:
    """`pip install 'duckdb>=1.1'` for the extra `store`: the packages themselves, wherever quantroof is from.

    torch for a CPU has a page of its own that says how it is installed.
    """
    if extra == "cpu":
        return _TORCH
    return pip_line(requirements(extra)) or f"the extra '{extra}' brings it"


def pip_line(needed: list[str]) -> str:
    """The line that installs some requirements, empty for none."""
    return f"pip install {' '.join(map(_quoted, needed))}" if needed else ""


def requirements(extra: str) -> list[str]:
    """What an extra brings, from the installed metadata; extras of quantroof itself are resolved."""
    from importlib import metadata

    try:
        lines = metadata.requires("quantroof") or []
    except metadata.PackageNotFoundError:
        return []
    needed: list[str] = []
    for line in lines:
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        if f"extra == '{extra}'" not in marker.replace('"', "'"):
            continue
        own = re.match(r"quantroof\[([^\]]*)\]", requirement)
        needed += [r for name in own[1].split(",") for r in requirements(name)] if own else [requirement]
    return needed


def missing(extra: str) -> list[str]:
    """The requirements of an extra whose packages are not installed."""
    from importlib import metadata

    def installed(requirement: str) -> bool:
        return any(True for _ in metadata.distributions(name=package(requirement)))

    return [requirement for requirement in requirements(extra) if not installed(requirement)]


def package(requirement: str) -> str:
    """The name in a requirement: `duckdb` of `duckdb>=1.1`."""
    name = _NAME.match(requirement)
    return name[0] if name else requirement


def _quoted(requirement: str) -> str:
    """A requirement as a shell word: `<` and `>` would redirect."""
    return requirement if _NAME.fullmatch(requirement) else f"'{requirement}'"
