"""Compile CUDA C++ to machine code by NVRTC, which needs no GPU.

cupy's own compiler asks the device first and fails where there is none, so the library is called directly.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from quantroof.errors import EnvironmentMissing, QuantroofError

_PACKAGES = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")
_LINE = re.compile(r"(?:error|fatal)\s*:?\s*(?P<text>.+)")


class Refusal(QuantroofError):
    """The compiler or assembler refused a source for an architecture; the text is its first complaint."""


def compile_cuda(source: str, arch: str, *, name: str = "source.cu", options: tuple[str, ...] = ()) -> bytes:
    """Machine code (a cubin) of CUDA C++ source for an architecture such as `sm_90a`.

    Raises Refusal where the source does not compile or does not assemble for it, EnvironmentMissing if
    NVRTC is not installed.
    """
    library = _nvrtc()
    program = ctypes.c_void_p()
    _check(
        library,
        library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), 0, None, None),
    )
    try:
        given = [option.encode() for option in (f"--gpu-architecture={arch}", "--std=c++17", *options)]
        arguments = (ctypes.c_char_p * len(given))(*given)
        if library.nvrtcCompileProgram(program, len(given), arguments):
            raise Refusal(_complaint(_text(library, program, "ProgramLog")), where=f"{name} for {arch}")
        return _bytes(library, program, "CUBIN")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


@lru_cache(maxsize=1)
def nvrtc_version() -> str:
    """Version of the library, such as `13.5`."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(_nvrtc(), _nvrtc().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


@lru_cache(maxsize=1)
def _nvrtc() -> ctypes.CDLL:
    """The library of the pip package (torch for CUDA depends on it), else the CUDA toolkit's."""
    main, builtins = _packaged()
    found = str(main) if main else ctypes.util.find_library("nvrtc")
    if found is None:
        hint = "pip install nvidia-cuda-nvrtc"
        raise EnvironmentMissing("no NVRTC to compile CUDA C++ with", hint=hint)
    if builtins is not None:
        # Looked up by its bare name when a program is compiled, which only a global preload satisfies.
        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(found)
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def _packaged() -> tuple[Path | None, Path | None]:
    for package in _PACKAGES:
        try:
            paths = [Path(str(file.locate())) for file in files(package) or ()]
        except PackageNotFoundError:
            continue
        main = next((p for p in paths if p.name.startswith("libnvrtc.so")), None)
        builtins = next((p for p in paths if p.name.startswith("libnvrtc-builtins.so")), None)
        if main is not None:
            return main, builtins
    return None, None


def _bytes(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(library, getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(library, getattr(library, f"nvrtcGet{what}")(program, buffer))
    return buffer.raw


def _text(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> str:
    return _bytes(library, program, what).rstrip(b"\0").decode(errors="replace")


def _complaint(log: str) -> str:
    """The first error of a log, without the place: the places of inline PTX are temporary files."""
    for line in log.splitlines():
        if match := _LINE.search(line):
            return match["text"].strip()
    return log.strip().splitlines()[0] if log.strip() else "refused without a word"


def _check(library: ctypes.CDLL, code: int) -> None:
    if code:
        raise QuantroofError(f"NVRTC: {library.nvrtcGetErrorString(code).decode()}")
