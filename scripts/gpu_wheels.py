"""Carry packages to a GPU machine without network: collect their wheels here, unpack there what it lacks.

Usage: python scripts/gpu_wheels.py collect DIR [--python 3.12] [--platform NAME] [PACKAGE ...]
       python scripts/gpu_wheels.py unpack DIR SITE
`collect` needs pip and a network; without names it takes what quantroof needs besides torch. `unpack` needs
the standard library alone, and unpacks nothing that the machine's own Python has; SITE goes onto PYTHONPATH.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parent.parent
_DATA = re.compile(r"^[^/]+\.data/(?:purelib|platlib)/")


def base_packages() -> list[str]:
    """What quantroof itself requires."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def collect(folder: Path, packages: list[str], python: str, platforms: list[str]) -> int:
    """Download wheels for another Python; returns pip's exit code."""
    wanted = ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    for platform in platforms:
        wanted += ["--platform", platform]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), *wanted, *packages]
    folder.mkdir(parents=True, exist_ok=True)
    code = subprocess.run(command, check=False).returncode
    wheels = sorted(folder.glob("*.whl"))
    if code:
        print(f"error: pip ended with {code}; {folder} is not complete", file=sys.stderr)
    else:
        size = sum(wheel.stat().st_size for wheel in wheels) / 2**20
        print(f"{len(wheels)} wheels for Python {python}, {size:.0f} MiB, in {folder}")
    return 3 if code else 0


def unpack(folder: Path, site: Path) -> int:
    """Unpack the wheels of packages that this Python lacks; a message names them."""
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        print(f"error: {folder}: holds no wheels (python scripts/gpu_wheels.py collect DIR)", file=sys.stderr)
        return 2
    lacking = [wheel for wheel in wheels if not _is_installed(wheel)]
    site.mkdir(parents=True, exist_ok=True)
    for wheel in lacking:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                member.filename = _DATA.sub("", member.filename)
                archive.extract(member, site)
    print(f"unpacked {len(lacking)} of {len(wheels)}: {', '.join(w.name for w in lacking)}", file=sys.stderr)
    return 0


def _is_installed(wheel: Path) -> bool:
    try:
        version(wheel.name.partition("-")[0])
    except PackageNotFoundError:
        return False
    return True


def main() -> int:
    """Collect or unpack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    collecting = commands.add_parser("collect")
    collecting.add_argument("folder", type=Path)
    collecting.add_argument("packages", nargs="*")
    collecting.add_argument("--python", default="3.12")
    collecting.add_argument("--platform", dest="platforms", action="append")
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("folder", type=Path)
    unpacking.add_argument("site", type=Path)
    options = parser.parse_args()
    if options.command == "unpack":
        return unpack(options.folder, options.site)
    platforms = options.platforms or ["manylinux_2_28_x86_64", "manylinux2014_x86_64"]
    return collect(options.folder, options.packages or base_packages(), options.python, platforms)


if __name__ == "__main__":
    sys.exit(main())
