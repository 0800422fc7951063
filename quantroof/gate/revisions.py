"""Questions to git about the current repository; each failure is one line with what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

from quantroof.errors import EnvironmentMissing, QuantroofError, UsageError


def git(*arguments: str, folder: Path | None = None) -> str:
    """Run git in a folder, by default the current one; UsageError with git's message where it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        raise EnvironmentMissing("git is not installed", hint="it provides the base revision") from None
    if done.returncode:
        message = done.stderr.strip().splitlines()
        raise UsageError(f"git {arguments[0]}: {message[-1] if message else 'failed'}")
    return done.stdout.strip()


def has_revision(name: str) -> bool:
    """Whether git has a commit of this name here."""
    try:
        git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except QuantroofError:
        return False
    return True


def branch_to_be() -> str | None:
    """The branch of a repository before its first commit; None in any other, and outside of one."""
    if has_revision("HEAD"):
        return None
    try:
        return git("symbolic-ref", "--short", "HEAD")
    except QuantroofError:
        return None


def require_revision(revision: str) -> None:
    """UsageError for a revision that is not here, as in a shallow clone."""
    if has_revision(revision):
        return
    if branch_to_be() is not None:
        raise UsageError("this repository has no commit to compare with", hint="git add, git commit, repeat")
    shallow = git("rev-parse", "--is-shallow-repository") == "true"
    hint = "this clone is shallow: fetch the base, or clone with its history (fetch-depth: 0)"
    what = f"git does not have the revision '{revision}'"
    raise UsageError(what, hint=hint if shallow else "git fetch, or another name")


def merge_base(revision: str) -> str:
    """The commit where HEAD left a revision; UsageError for one that is not here or shares no history."""
    require_revision(revision)
    try:
        return git("merge-base", revision, "HEAD")
    except UsageError:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
        hint = "this clone is shallow: clone with its history (fetch-depth: 0)" if shallow else None
        raise UsageError(f"'{revision}' and HEAD have no common revision", hint=hint) from None
