"""The import rule: rooms depend one way, the rooms that judge and show never need torch, help is quick."""

from __future__ import annotations

import ast
import json
import re
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "quantroof"
# A room may import from those of a lower rank, and from itself.
RANK = {
    "hwprofiles": 0,
    "kernels": 1,
    "records": 2,
    "analysis": 3,
    "bench": 4,
    "gate": 5,
    "advisor": 5,
    "quality": 5,
    "fleet": 6,  # judges many GPUs with the gate's statistics
    "claims": 6,
    "reports": 7,
    "api": 8,
    "cli": 9,
}
TORCH_FREE = ("records", "analysis", "advisor", "gate", "fleet", "claims", "reports")
HEAVY = ("torch", "triton", "cupy", "pandas", "plotly", "rich")


def _modules(room: str) -> list[Path]:
    return sorted((PACKAGE / room).rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or ""


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_room_has_a_rank() -> None:
    """A new room is placed in the order of imports before it is used."""
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}

    assert rooms <= set(RANK)


@pytest.mark.parametrize("room", RANK)
def test_a_room_names_its_modules(room: str) -> None:
    """A room's __init__.py is a docstring and `__all__`, its sorted public modules and folders."""
    folder = PACKAGE / room
    docstring, assignment = ast.parse((folder / "__init__.py").read_text()).body
    modules = {p.stem for p in folder.glob("*.py")}
    folders = {p.name for p in folder.iterdir() if p.is_dir() and any(p.rglob("*.py"))}

    assert isinstance(docstring, ast.Expr)
    assert isinstance(assignment, ast.Assign)
    assert ast.unparse(assignment.targets[0]) == "__all__"
    assert ast.literal_eval(assignment.value) == sorted(n for n in modules | folders if n[0] != "_")


@pytest.mark.parametrize("room", RANK)
def test_rooms_import_one_way(room: str) -> None:
    """The order of RANK: hwprofiles first, cli last."""
    wrong = []
    for path in _modules(room):
        for module in _imports(path):
            package, _, rest = module.partition(".")
            other = rest.split(".")[0]
            if package == "quantroof" and other in RANK and other != room and RANK[other] >= RANK[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")

    assert wrong == []


@pytest.mark.parametrize("room", RANK)
def test_rooms_are_imported_by_their_full_name(room: str) -> None:
    """`kernels.x` and `quantroof.kernels.x` would be two modules with two registries."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in _modules(room)
        for module in _imports(path)
        if module.split(".")[0] in RANK
    ]

    assert wrong == []


@pytest.mark.parametrize("room", TORCH_FREE)
def test_judging_and_showing_name_no_torch(room: str) -> None:
    """No file of these rooms imports torch, triton or cupy, not even inside a function."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in _modules(room)
        for module in _imports(path)
        if module.split(".")[0] in ("torch", "triton", "cupy")
    ]

    assert wrong == []


def test_judging_and_showing_work_where_torch_cannot_be_imported() -> None:
    """Every module of these rooms imports with torch, triton and cupy refused, imports in turn included."""
    names = [_name(path) for room in TORCH_FREE for path in _modules(room)]
    code = (
        "import sys, importlib\n"
        "for name in ('torch', 'triton', 'cupy'): sys.modules[name] = None\n"
        "for name in sys.argv[1:]: importlib.import_module(name)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr


def _internal_imports(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """Modules of the package that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in modules else str(node.module) for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Imports of files have an order: none of them lies on a circle, function-level imports included."""
    modules = {_name(path): path for path in PACKAGE.rglob("*.py")}
    graph = {
        name: {other for other in _internal_imports(path, modules) if other in modules} - {name, "quantroof"}
        for name, path in modules.items()
    }

    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")
    assert len(order) >= len(modules) - 1


def test_help_imports_nothing_heavy() -> None:
    """`quantroof --help` names every command without importing torch, pandas, plotly or rich."""
    code = (
        "import sys, json\n"
        "from quantroof.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )

    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert json.loads(ran.stdout.splitlines()[-1]) == []


@pytest.mark.alone
def test_help_is_quick() -> None:
    """`quantroof --help` takes under 0.3 s of a core: the least of five, for caches may be cold."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "quantroof", "--help"], cwd=ROOT, capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.3


def test_no_child_process_imports_from_the_callers_folder() -> None:
    """Every child of our own interpreter has -P: a `torch.py` or `random.py` lying there is not run."""
    starts = re.compile(r"sys\.executable,\s*\"(-.)")
    files = {str(path): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    flags = {path: starts.findall(text) for path, text in files.items()}

    assert sum(map(len, flags.values())) >= 9
    assert {path for path, used in flags.items() if set(used) - {"-P"}} == set()


def test_every_library_is_declared() -> None:
    """What the package imports from outside is named in pyproject.toml, in the base or in an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {
        re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0] for group in lists for requirement in group
    }
    # Distributions whose import name is another.
    named = {"nvidia-ml-py": "pynvml", "cupy-cuda13x": "cupy", "cupy-cuda12x": "cupy"}
    known = {named.get(name, name.replace("-", "_")) for name in declared} | {"quantroof"}
    imported = {module.split(".")[0] for path in PACKAGE.rglob("*.py") for module in _imports(path)}

    assert imported - known - sys.stdlib_module_names == set()
