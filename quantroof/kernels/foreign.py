"""Kernels from outside of this package: files named by the user, and installed packages. None is trusted.

Loading and `check` run in the main process. Whatever they print goes to standard error, and whatever they
raise becomes one line. `build` and the calls run in a worker process of their own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, get_args

from quantroof.errors import UsageError, described
from quantroof.hwprofiles.types import Device, Processor
from quantroof.kernels.cases import Case, Operation
from quantroof.kernels.kernel import BrokenCheck, Kernel, Skip
from quantroof.kernels.schemes import scheme

_NAME = re.compile(r"[A-Za-z0-9][\w.+/-]{0,79}")
_REASON_CHARACTERS = 300
IMPORT_LIMIT_S = 180.0
CHECK_LIMIT_S = 10.0


def file_and_name(reference: str) -> tuple[Path, str]:
    """The file and the name of `path.py:NAME`, without an import; UsageError for anything else."""
    path_text, _, name = reference.rpartition(":")
    path = Path(path_text)
    if not path_text or not name.isidentifier() or path.suffix != ".py":
        raise UsageError(f"'{reference}' does not name a kernel", hint="write PATH.py:NAME")
    _must_exist(path)
    return path, name


def load_file(reference: str) -> Kernel:
    """Import a Python file, named as `path.py:NAME`, and return its Kernel; UsageError for anything else."""
    path, name = file_and_name(reference)
    return _checked(getattr(import_file(path), name, None), name, str(path))


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise UsageError("no such file", where=str(path))


def import_file(path: Path) -> ModuleType:
    """Import a Python file; UsageError where it does not exist, or for whatever it raises."""
    _must_exist(path)
    # The name under which Triton and pickle find the module again; the stem alone could shadow a library.
    module_name = f"quantroof_external_{path.stem}_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    sys.path += [root for root in map(str, import_roots(path)) if root not in sys.path]
    with guarded("cannot be imported", str(path)):
        spec.loader.exec_module(module)
    return module


def import_roots(path: Path) -> list[Path]:
    """Where a file's own imports are looked for: its folder, its project's folder and that one's `src`."""
    folder = path.resolve().parent
    marks = (".git", "pyproject.toml", "setup.py")
    project = next(
        (p for p in (folder, *folder.parents) if any((p / mark).exists() for mark in marks)), folder
    )
    return [root for root in dict.fromkeys((folder, project / "src", project)) if root.is_dir()]


def entry_point_kernels(point: EntryPoint) -> list[Kernel]:
    """The kernels of an installed package; UsageError where it cannot be imported or declares them badly."""
    with guarded("cannot be imported", point.value):
        declared = tuple(point.load().KERNELS)
    return [_checked(kernel, "an entry of KERNELS", point.value) for kernel in declared]


@contextmanager
def guarded(what: str, where: str) -> Iterator[None]:
    """Turn everything that foreign code raises into one UsageError; what it prints goes to standard error.

    So is an import that does not end; the limit is long, for torch may come from a cold network disk.
    """
    try:
        with redirect_stdout(sys.stderr), _limited(IMPORT_LIMIT_S), _no_quiet_exit():
            yield
    except SystemExit as error:
        raise UsageError(f"calls sys.exit({error.code!r}) when it is imported", where=where) from None
    except ProcessExit as error:
        raise UsageError(f"{error} when it is imported", where=where) from None
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything
        raise UsageError(f"{what}: {_short(error)}", where=where) from None


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """TimeoutError inside the block after so many seconds. Only a main thread can have a limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    handler = signal.signal(signal.SIGALRM, late)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, handler)


class ProcessExit(BaseException):
    """Foreign code called os._exit."""


@contextmanager
def _no_quiet_exit() -> Iterator[None]:
    """An error in place of os._exit, which would end the command without a word, with any code.

    A process that foreign code forks may end itself.
    """
    leave, here = os._exit, os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != here or os._exit is not refuse:
            leave(status)
        raise ProcessExit(f"calls os._exit({status!r})")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = leave


def _short(error: BaseException) -> str:
    try:
        return described(error)[:_REASON_CHARACTERS]
    except BaseException:  # noqa: BLE001 - an error of foreign code, whose text may raise as well
        return type(error).__name__


def _checked(kernel: Any, name: str, where: str) -> Kernel:
    """The declared kernel with its `check` guarded; UsageError where a field is not what Kernel asks for."""
    if not isinstance(kernel, Kernel):
        raise UsageError(f"{name} is not a Kernel but a {type(kernel).__name__}", where=where)
    for field in ("name", "provider"):
        value = getattr(kernel, field)
        if not isinstance(value, str) or _NAME.fullmatch(value) is None:
            text = ascii(value)[:_REASON_CHARACTERS]
            raise UsageError(f"the kernel's {field} {text} is not letters, digits and . _ + / -", where=where)
    choices = {"operations": get_args(Operation), "targets": get_args(Processor)}
    for field, allowed in choices.items():
        wrong = [value for value in _strings(kernel, field, where) if value not in allowed]
        if wrong:
            hint = f"one of: {', '.join(allowed)}"
            raise UsageError(f"kernel {kernel.name} has {field[:-1]} '{wrong[0]}'", where=where, hint=hint)
    for value in _strings(kernel, "schemes", where):
        scheme(value, where)
    for field in ("build", "check"):
        if not callable(getattr(kernel, field)):
            raise UsageError(f"{field} of kernel {kernel.name} cannot be called", where=where)
    return replace(kernel, check=_guarded_check(kernel.check))


def _strings(kernel: Kernel, field: str, where: str) -> tuple[str, ...]:
    values = getattr(kernel, field)
    if not isinstance(values, tuple) or not values or not all(isinstance(value, str) for value in values):
        raise UsageError(f"{field} of kernel {kernel.name} is not a tuple of strings", where=where)
    return values


def _guarded_check(check: Callable[[Case, Device], Any]) -> Callable[[Case, Device], Skip | None]:
    """A `check` that returns a BrokenCheck where foreign code raises or returns something else."""

    def guarded(case: Case, device: Device) -> Skip | None:
        try:
            with redirect_stdout(sys.stderr), _limited(CHECK_LIMIT_S), _no_quiet_exit():
                answer = check(case, device)
        except BaseException as error:  # noqa: BLE001 - foreign code may raise anything
            return BrokenCheck(f"its check raises {_short(error)}")
        if answer is None or (isinstance(answer, Skip) and isinstance(answer.reason, str)):
            return answer
        return BrokenCheck(f"its check returns {type(answer).__name__}, not a Skip with a reason or None")

    return guarded
