"""Packages that a machine without network lacks: their wheels are collected here and unpacked there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "gpu_wheels.py"
_PIP = """
import pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--dest") + 1])
(folder / "carried-1.0-py3-none-any.whl").touch()
(folder / "arguments").write_text(" ".join(sys.argv))
sys.exit({code})
"""


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def _wheel(folder: Path, name: str, *members: str) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-9.9-py3-none-any.whl", "w") as wheel:
        for member in members:
            wheel.writestr(member, "carried = True\n")


@pytest.mark.parametrize("code", [0, 1])
def test_wheels_are_collected_for_another_python(tmp_path: Path, code: int) -> None:
    """Everything that quantroof requires, as wheels for Python 3.12; what pip refuses is exit code 3."""
    (tmp_path / "pip.py").write_text(_PIP.format(code=code))
    done = _run("collect", str(tmp_path / "wheels"), folder=tmp_path)
    asked = (tmp_path / "wheels" / "arguments").read_text()

    assert done.returncode == (3 if code else 0)
    assert ("1 wheels for Python 3.12" in done.stdout) is not bool(code)
    assert ("is not complete" in done.stderr) is bool(code)
    assert "--only-binary=:all: --python-version 3.12" in asked
    assert all(name in asked for name in ("msgspec", "plotly", "nvidia-ml-py"))
    assert "torch" not in asked


def test_only_what_the_machine_lacks_is_unpacked(tmp_path: Path) -> None:
    """Its own numpy fits its torch and stays; data of a wheel's library folder comes to its place."""
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    _wheel(wheels, "numpy", "numpy/__init__.py")
    _wheel(wheels, "carried_package", "carried/__init__.py", "carried_package-9.9.data/platlib/more.py")
    done = _run("unpack", str(wheels), str(site), folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "unpacked 1 of 2: carried_package-9.9" in done.stderr
    assert {path.name for path in site.iterdir() if path.is_file()} == {"more.py"}
    assert (site / "carried" / "__init__.py").is_file()
    assert not (site / "numpy").exists()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """The message names the command that fills it."""
    done = _run("unpack", str(tmp_path), str(tmp_path / "site"), folder=tmp_path)

    assert done.returncode == 2
    assert "holds no wheels (python scripts/gpu_wheels.py collect DIR)" in done.stderr


@pytest.mark.parametrize("script", ["gpu_bringup", "gpu_acceptance"])
def test_the_steps_of_a_visit_import_what_was_carried(tmp_path: Path, script: str) -> None:
    """A package that no folder of this Python has."""
    _wheel(tmp_path / "wheels", "carried_package", "carried_package.py")
    python = tmp_path / "python"
    python.write_text(f"""#!/bin/bash
case " $* " in
  *" doctor "*) exec {sys.executable} -c 'import carried_package; print(carried_package.carried)' ;;
  *" -c "*|*gpu_wheels*) exec {sys.executable} "$@" ;;
esac
""")
    python.chmod(0o755)
    command = ["bash", str(ROOT / "scripts" / f"{script}.sh"), "out", "--python", str(python)]
    subprocess.run(
        [*command, "--wheels", "wheels"], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )

    assert (tmp_path / "out" / "doctor.out").read_text() == "True\n"
