"""A hash of a kernel's source: the module that declares it and the device code that it imports.

Read as text, so it works without torch and for a checkout of any revision. Comments and formatting do not
count: the hash is taken over the syntax tree.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from quantroof.kernels.foreign import import_roots
from quantroof.kernels.kernel import Kernel

PACKAGE = Path(__file__).resolve().parent.parent
_ROOM = "quantroof.kernels"
_SHARED = f"{_ROOM}.device"
_DEVICE_SUFFIXES = (".cu", ".cuh")
_DIGITS = 16
_NATIVE = (".cu", ".cuh", ".cpp", ".cc", ".h", ".hpp")
_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|(/\*.*?\*/|//[^\n]*)', re.DOTALL)
_NOT_SOURCES = {"build", "dist", "node_modules", "site-packages", "runs"}


def kernel_sources(
    kernels: Iterable[Kernel], package: Path = PACKAGE, moved: Mapping[Path, Path] | None = None
) -> dict[str, str]:
    """Hash of every kernel by name, read below the folder `package` (the one that is called `quantroof`).

    A kernel whose files are not there is left out. `moved` maps a folder to the one that replaces it, for
    kernels from outside the package.
    """
    hashes: dict[str, str] = {}
    for kernel in kernels:
        files = _files(kernel, package, moved or {})
        if files:
            hashes[kernel.name] = _digest(files)
    return dict(sorted(hashes.items()))


def relocated(path: Path, moved: Mapping[Path, Path]) -> Path:
    """The path below the folder that stands for the one it is in, or the path itself."""
    for old, new in moved.items():
        if path.is_relative_to(old):
            return new / path.relative_to(old)
    return path


def _files(kernel: Kernel, package: Path, moved: Mapping[Path, Path]) -> list[Path]:
    if kernel.source is not None:
        return _with_native(relocated(Path(kernel.source).resolve(), moved))
    module = _function(kernel.build).__module__
    if not module.startswith(f"{_ROOM}."):
        name = getattr(sys.modules.get(module), "__file__", None)
        outside = None if name is None else relocated(Path(name).resolve(), moved)
        return [] if outside is None else _with_native(outside)
    folder = module.rpartition(".")[0]
    modules = sorted(_closure(module, package, (f"{folder}.", f"{_SHARED}.")))
    native = (package.parent / folder.replace(".", "/")).rglob("*")
    device = sorted(path for path in native if path.suffix in _DEVICE_SUFFIXES)
    return [_path(name, package) for name in modules] + (device if modules else [])


def _own_files(path: Path) -> list[Path]:
    """A user's file and what it imports of its own project."""
    roots = import_roots(path)
    visited: set[Path] = set()
    modules: set[str] = set()
    waiting = [path] if path.is_file() else []
    while waiting:
        file = waiting.pop()
        if file not in visited:
            visited.add(file)
            new = [module for module in _imports(file) if module not in modules]
            modules.update(new)
            waiting += [own for module in new for own in _project_files(module, roots)]
    return [path, *sorted(visited - {path})] if visited else []


def host_digest(path: Path) -> str:
    """A hash of a user's Python file and what it imports of its project."""
    return _digest(_own_files(path))


def native_sources(path: Path, *, every: bool) -> list[Path]:
    """The C++ files that a user's Python file and its imports name, with what they include.

    With `every`, all of the project where none is named: an extension is imported by its own name.
    """
    roots = import_roots(path)
    named = [text for file in _own_files(path) for text in _python(file).native]
    files = {file for text in named for file in _resolved(text, roots)}
    if every if not named else not files:
        files = {
            file for file in roots[-1].rglob("*") if file.suffix in _NATIVE and _is_source(file, roots[-1])
        }
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        included = _INCLUDE.findall(file.read_text(encoding="utf-8", errors="replace"))
        new = {own for name in included for own in _resolved(name, [file.parent, *roots])} - files
        files |= new
        waiting += new
    return sorted(files)


def without_comments(text: str) -> str:
    """C++ without comments and with one space for any blanks."""
    return " ".join(_COMMENT.sub(lambda match: " " if match[1] else match[0], text).split())


def _resolved(name: str, roots: list[Path]) -> list[Path]:
    """A file by its path below a root, else every file of the project with this name."""
    if "*" in name or len(name) > 200 or "\n" in name:
        return []
    direct = [root / name for root in roots if (root / name).is_file()]
    if direct:
        return [direct[0].resolve()]
    return [file.resolve() for file in roots[-1].rglob(Path(name).name) if _is_source(file, roots[-1])]


def _is_source(file: Path, root: Path) -> bool:
    parts = file.relative_to(root).parts
    return file.is_file() and not any(part.startswith(".") or part in _NOT_SOURCES for part in parts)


def _with_native(path: Path) -> list[Path]:
    return [*_own_files(path), *native_sources(path, every=True)] if path.is_file() else []


def _project_files(module: str, roots: list[Path]) -> Iterator[Path]:
    """The file of a module below the roots, and those of the packages that it is in."""
    for root in roots:
        parts = module.split(".")
        folders = [root.joinpath(*parts[: i + 1]) for i in range(len(parts))]
        files = [*(folder / "__init__.py" for folder in folders), folders[-1].with_suffix(".py")]
        yield from (file for file in files if file.is_file())


def _function(build: Any) -> Any:
    while isinstance(build, functools.partial):
        build = build.func
    return build


def _path(module: str, package: Path) -> Path:
    return package.parent / f"{module.replace('.', '/')}.py"


def _closure(module: str, package: Path, within: tuple[str, ...]) -> set[str]:
    """The module and everything it imports within some packages, imports inside functions included."""
    visited: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in visited or not name.startswith(within) or not _path(name, package).is_file():
            continue
        visited.add(name)
        waiting += _imports(_path(name, package))
    return visited


def _imports(path: Path) -> tuple[str, ...]:
    return _python(path).imports


class _Python(NamedTuple):
    """What one Python file says: the modules and C++ files that it names, and its syntax tree as text."""

    imports: tuple[str, ...]
    native: tuple[str, ...]
    computation: bytes


def _python(path: Path) -> _Python:
    return _read(path.read_bytes())


@functools.lru_cache(maxsize=4096)
def _read(content: bytes) -> _Python:
    """Each file of equal content is parsed once, and walked once."""
    imports: list[str] = []
    native: list[str] = []
    tree = _parsed(content)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            native += [node.value] if node.value.endswith(_NATIVE) else []
    return _Python(tuple(imports), tuple(native), ast.dump(_undocumented(tree)).encode())


def _parsed(content: bytes) -> ast.Module:
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError):
        return ast.Module(body=[ast.Expr(ast.Constant(content))], type_ignores=[])


def _undocumented(tree: ast.Module) -> ast.Module:
    """The tree without docstrings, which do not affect the computation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            value = first.value if isinstance(first, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                node.body[0] = ast.Pass()
    return tree


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        native = path.suffix in (*_DEVICE_SUFFIXES, *_NATIVE)
        content = path.read_bytes() if native else _python(path).computation
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:_DIGITS]
