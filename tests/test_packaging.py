"""One package, four folders at the root, and no top-level name taken from anybody else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from quantroof import __version__

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "quantroof"
_PYTHON = "Programming Language :: Python :: 3."
FOLDERS = ("bench", "hwprofiles", "kernels", "reports")


def _python(code: str, *arguments: str, cwd: Path) -> str:
    """Run `python -c` in a folder, as a user would (the folder is on sys.path), and return its output."""
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_root_folder_is_real_and_no_package(name: str) -> None:
    """A folder with a README; an __init__.py would shadow a package such as Hugging Face's `kernels`."""
    folder = ROOT / name

    assert folder.is_dir()
    assert not folder.is_symlink()
    assert (folder / "README.md").is_file()
    assert list(folder.rglob("__init__.py")) == []


def test_tests_of_an_installed_package_do_not_shadow_ours(tmp_path: Path) -> None:
    """Some distributions install a top-level `tests`; a folder without __init__.py would lose against it."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").touch()
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]; import tests; print(tests.__file__)"
    )

    assert Path(_python(code, cwd=tmp_path)) == ROOT / "tests" / "__init__.py"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_package_of_the_same_name_is_not_shadowed(name: str, tmp_path: Path) -> None:
    """`import kernels` at the repository's root finds an installed package of that name, not our folder."""
    theirs = tmp_path / name
    theirs.mkdir()
    (theirs / "__init__.py").write_text("owner = 'somebody else'\n")
    code = f"import sys; sys.path.append(sys.argv[1]); import {name}; print({name}.owner)"

    assert _python(code, str(tmp_path), cwd=ROOT) == "somebody else"


@pytest.mark.parametrize("name", FOLDERS)
def test_the_root_offers_no_regular_package(name: str) -> None:
    """`find_spec("kernels")` has no file of ours behind it: at most a namespace portion, which yields."""
    code = f"import importlib.util as u; s = u.find_spec({name!r}); print(s.origin if s else None)"

    origin = _python(code, cwd=ROOT)

    assert not origin.startswith(str(ROOT))


def _is_cache(path: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") for part in path.relative_to(ROOT).parts)


def test_the_metadata_name_every_python_that_ci_runs() -> None:
    """One classifier per Python of the workflow's matrix, and the version of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    (matrix,) = re.findall(r"python: (\[.*\])", workflow)
    named = ["3." + c.removeprefix(_PYTHON) for c in project["classifiers"] if c.startswith(_PYTHON)]

    assert named == json.loads(matrix)
    assert project["requires-python"] == f">={named[0]}"
    assert project["dynamic"] == ["version"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree without what git ignores, so that no build folder is left here."""
    copy = tmp_path_factory.mktemp("checkout") / "quantroof"
    ignored = [line.strip("/").rpartition("/")[2] for line in (ROOT / ".gitignore").read_text().splitlines()]
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", *ignored))
    return copy


@pytest.fixture(scope="module")
def dist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that is built from it, both built for real."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(checkout)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """The wheel that was built from the source distribution."""
    (path,) = dist.glob("*.whl")
    return path


def test_the_source_distribution_is_whole(dist: Path, checkout: Path) -> None:
    """Every file that git tracks is in it: tests, docs, scripts and hidden files."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    tracked = {name for name in listed.stdout.splitlines() if (checkout / name).exists()}

    assert tracked - packed == set()


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Every file of quantroof/ but its Markdown is in the wheel, data included, and nothing beside it."""
    packed = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    here = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".md" and not _is_cache(path)
    }

    assert packed == here


def test_wheel_has_the_version_of_the_package(wheel: Path) -> None:
    """The version is written in quantroof/__init__.py and nowhere else."""
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (n for n in packed.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = packed.read(name).decode()

    assert f"\nVersion: {__version__}\n" in metadata
    assert "\nProject-URL: Homepage, https://github.com/quantroof/quantroof\n" in metadata


def test_wheel_runs_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, the wheel imports from there and finds its data files."""
    target = tmp_path / "target"
    zipfile.ZipFile(wheel).extractall(target)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import quantroof\n"
        "from importlib.resources import files\n"
        "from quantroof.cli.main import cli\n"
        "names = [p.name for p in (files('quantroof') / 'bench' / 'suites').iterdir()]\n"
        "print(quantroof.__file__, *(n for n in names if n.endswith('.toml')))"
    )

    file, *suites = _python(code, str(target), cwd=tmp_path).split()

    assert Path(file).is_relative_to(target)
    assert {"quick.toml", "default.toml", "full.toml"} <= set(suites)
