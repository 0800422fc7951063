"""The environment that run_all.sh makes: what is installed follows from what the node has."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.fixture
def setup_env() -> ModuleType:
    """scripts/setup_env.py as a module."""
    spec = importlib.util.spec_from_file_location("setup_env", ROOT / "scripts" / "setup_env.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["setup_env"] = module
    spec.loader.exec_module(module)
    return module


def _site_with_torch(folder: Path, version: str, cuda: str | None) -> Path:
    """A site-packages folder with what a torch wheel leaves there to be seen."""
    package, info = folder / "torch", folder / f"torch-{version}.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')\n")
    (package / "version.py").write_text(f"__version__ = {version!r}\ncuda: Optional[str] = {cuda!r}\n")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    return folder


@pytest.mark.parametrize(("cuda", "extra"), [("13.0", "cuda13"), ("12.8", "cuda12")])
def test_a_cuda_torch_is_kept(
    setup_env: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: str, extra: str
) -> None:
    """With a CUDA torch the environment goes on top of it, and pip is held to exactly that build."""
    monkeypatch.syspath_prepend(_site_with_torch(tmp_path, "2.11.0+cu999", cuda))
    monkeypatch.delitem(sys.modules, "torch", raising=False)

    plan = setup_env.make_plan(setup_env.find_torch(), "580.1", setup_env.read_pins(), tests=False)

    assert plan.on_top
    assert plan.extras == (extra,)
    assert "torch==2.11.0+cu999" in plan.constraints
    assert not any(requirement.startswith("torch") for requirement in EXTRAS[extra])


@pytest.mark.parametrize("torch", [None, ("2.12.0+cpu", None)])
def test_no_driver_means_the_pinned_cpu_torch(setup_env: ModuleType, torch: tuple[str, None] | None) -> None:
    """Without a driver a fresh environment gets the pinned CPU torch, whatever CPU torch lies about."""
    found = setup_env.Torch(*torch) if torch else None

    plan = setup_env.make_plan(found, None, setup_env.read_pins(), tests=False)

    assert not plan.on_top
    assert plan.extras == ("cpu",)
    assert plan.first == ("torch==2.13.0",)


@pytest.mark.parametrize(("builds", "warned"), [("cpu", False), ("cuda", True)])
def test_a_cuda_torch_for_a_cpu_is_announced(
    setup_env: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str], builds: str, warned: bool
) -> None:
    """Where pip's indexes have no CPU build, 5 GB come for nothing: the line says so and how to avoid it."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *+cpu) [ {builds} = cpu ];; esac\n')
    python.chmod(0o755)
    plan = setup_env.make_plan(None, None, setup_env.read_pins(), tests=False)
    setup_env.install(python, tmp_path, plan)
    told = capfd.readouterr().err

    assert ("no CPU build of torch==2.13.0" in told) is warned
    assert ("PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu" in told) is warned


@pytest.mark.parametrize(("driver", "extra"), [("580.159.04", "gpu"), ("570.86.15", "gpu-cuda12")])
def test_a_driver_without_torch_gets_the_extra_that_it_can_run(
    setup_env: ModuleType, driver: str, extra: str
) -> None:
    """CUDA 13 needs driver 580; an older driver gets the CUDA 12 libraries."""
    plan = setup_env.make_plan(None, driver, setup_env.read_pins(), tests=False)

    assert plan.extras == (extra,)


def test_the_tests_of_a_gpu_node_never_pull_another_torch(setup_env: ModuleType) -> None:
    """On top of a CUDA torch the test tools are installed without the pins of the CPU machines."""
    plan = setup_env.make_plan(
        setup_env.Torch("2.11.0+cu130", "13.0"), "580.1", setup_env.read_pins(), tests=True
    )

    assert plan.extras == ("cuda13", "test")
    assert not any(requirement.startswith(("torch", "triton")) for requirement in EXTRAS["test"])


def test_torch_is_installed_first_and_triton_last_for_tests(setup_env: ModuleType) -> None:
    """torch before anything could choose another one; triton after a CUDA torch brought its own."""
    plan = setup_env.make_plan(None, None, setup_env.read_pins(), tests=True)

    assert plan.first == ("torch==2.13.0",)
    assert plan.last == ("triton==3.9.0",)
    assert not any(line.startswith("triton") for line in plan.constraints)


def test_the_tools_are_pinned_for_tests_alone(setup_env: ModuleType) -> None:
    """mypy, ruff and the libraries of a study are held in every test environment, and for no user."""
    pins = setup_env.read_pins()
    nodes = ((setup_env.Torch("2.11.0+cu130", "13.0"), "580.1"), (None, "580.1"), (None, None))
    for torch, driver in nodes:
        tested = setup_env.make_plan(torch, driver, pins, tests=True)
        used = setup_env.make_plan(torch, driver, pins, tests=False)
        assert {pins["mypy"], pins["ruff"], pins["transformers"]} <= set(tested.constraints)
        assert {line.partition("==")[0] for line in used.constraints} <= {"torch", "triton"}


def test_users_get_ranges_that_the_pins_satisfy(setup_env: ModuleType) -> None:
    """No extra pins a version, and what the tests run with lies within every extra's range."""
    pins = {name: line.partition("==")[2] for name, line in setup_env.read_pins().items()}
    for requirement in (Requirement(text) for texts in EXTRAS.values() for text in texts):
        assert not any(part.operator == "==" for part in requirement.specifier), requirement
        if requirement.name in pins:
            assert requirement.specifier.contains(pins[requirement.name]), requirement


def _run(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / script), *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--suite"], 2, "error: --suite needs a value"),
        (["--python", "/no/such/python"], 3, "error: --python /no/such/python: no such program"),
        (["--python", "/bin/true"], 3, "error: --python /bin/true: Python 3.11 or newer is needed"),
    ],
)
def test_run_all_tells_bad_options_in_one_line(
    tmp_path: Path, arguments: list[str], code: int, line: str
) -> None:
    """A wrong option ends with one line and the exit code of its kind."""
    ran = _run("run_all.sh", *arguments, cwd=tmp_path)

    assert ran.returncode == code
    assert ran.stderr.strip().splitlines()[-1].startswith(line)


def test_no_install_names_what_is_missing(tmp_path: Path) -> None:
    """--no-install on a bare Python says which packages it lacks, and exits 3."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)

    ran = _run("run_all.sh", "--no-install", "--python", str(bare / "bin" / "python"), cwd=tmp_path)

    assert ran.returncode == 3
    last = ran.stderr.strip().splitlines()[-1]
    assert all(name in last for name in ("lacks", "click", "msgspec", "torch"))


@pytest.mark.long
def test_run_all_leaves_a_launcher_and_the_next_command(tmp_path: Path) -> None:
    """The report's path is the last line of standard output, and the command of `next:` runs as printed."""
    options = (
        "--no-install",
        "--python",
        sys.executable,
        "--suite",
        "quick",
        "--device",
        "sim:h100-sxm5-80gb",
    )
    ran = _run("run_all.sh", *options, cwd=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / ran.stdout.splitlines()[-1]).name == "report.html"
    line = ran.stderr.strip().splitlines()[-1]
    assert line.startswith("next: ")
    command = shlex.split(line.removeprefix("next: "))
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Which format?" in shown.stdout


def test_a_foreign_venv_is_left_alone(setup_env: ModuleType, tmp_path: Path) -> None:
    """A .venv that somebody else made is not cleared."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "precious").touch()

    with pytest.raises(SystemExit) as ended:
        setup_env.ensure(
            tmp_path / ".venv", setup_env.make_plan(None, None, setup_env.read_pins(), tests=False)
        )

    assert ended.value.code == 3
    assert (tmp_path / ".venv" / "precious").exists()


def _fake_distribution(folder: Path, name: str, version: str) -> Path:
    """Sources of a package that looks like torch to pip and to setup_env, and weighs nothing."""
    package = folder / name / "src" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from . import version\n__version__ = version.__version__\n")
    (package / "version.py").write_text(f"__version__ = {version!r}\ncuda = '13.0'\n")
    (folder / name / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\n'
        '[tool.setuptools.packages.find]\nwhere = ["src"]\n'
    )
    return folder / name


@pytest.mark.slow
def test_a_real_environment_goes_on_top_of_a_parents_torch(tmp_path: Path) -> None:
    """Installed for real on top of a virtual environment with a CUDA torch: that torch and triton stay."""
    parent, venv = tmp_path / "parent", tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(parent)], check=True)
    sources = [
        str(_fake_distribution(tmp_path, name, version))
        for name, version in (("torch", "2.11.0+cu130"), ("triton", "3.6.0"))
    ]
    subprocess.run([str(parent / "bin" / "pip"), "install", "--quiet", *sources], check=True)

    command = [str(parent / "bin" / "python"), str(ROOT / "scripts" / "setup_env.py"), "--venv", str(venv)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    again = subprocess.run(command, capture_output=True, text=True, check=False)

    assert made.returncode == 0, made.stderr
    assert "on top of the torch 2.11.0+cu130 (CUDA 13.0)" in made.stderr
    assert "warning: torch cannot use a GPU here" in made.stderr
    code = "import torch, triton, quantroof; print(torch.__file__, torch.__version__, triton.__version__)"
    told = subprocess.run([made.stdout.strip(), "-c", code], capture_output=True, text=True, check=True)
    file, *versions = told.stdout.split()
    assert Path(file).is_relative_to(parent)
    assert versions == ["2.11.0+cu130", "3.6.0"]
    assert "up to date" in again.stderr
