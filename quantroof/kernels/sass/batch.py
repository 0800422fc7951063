"""Disassembles many cubins of one architecture in one call: the tool takes longer to start than to read one.

It reads the code of all functions as one raw image, which is then cut where each function ends.
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from quantroof.kernels.sass.cubin import CodeReport, cuobjdump, report_on, run_tool
from quantroof.kernels.sass.listing import (
    DisassemblyError,
    Function,
    Instruction,
    function_of,
    parse_instruction,
)

_TEXT = ".text."
# ELF64's header: where the section headers begin; their size, their number, and which one has the names.
_SECTIONS_AT, _SECTIONS = (0x28, "<Q"), (0x3A, "<HHH")
_SECTION = "<I20xQQ"  # name, offset, size


def read_cubins(cubins: Sequence[bytes], arch: str) -> list[tuple[CodeReport, ...]]:
    """A report on each function of each cubin. DisassemblyError if one of them cannot be read."""
    disassembled = zip(cubins, functions_of(cubins, arch), strict=True)
    return [report_on(cubin, functions) for cubin, functions in disassembled]


def functions_of(cubins: Sequence[bytes], arch: str) -> list[tuple[Function, ...]]:
    """The functions of each cubin. Addresses count from the start of the image, as branch targets do."""
    sections = [list(_code(cubin)) for cubin in cubins]
    instructions = _disassembled(b"".join(code for of_cubin in sections for _, code in of_cubin), arch)
    addresses = [instruction.address for instruction in instructions]
    start, functions = 0, []
    for of_cubin in sections:
        own = []
        for name, code in of_cubin:
            first, last = bisect_left(addresses, start), bisect_left(addresses, start + len(code))
            own.append(function_of(name, arch, instructions[first:last]))
            start += len(code)
        functions.append(tuple(own))
    return functions


def code_digest(cubin: bytes) -> str:
    """A hash of the instructions and constants of a cubin, without its line numbers and paths."""
    digest = hashlib.sha256()
    for name, content in sorted(_sections(cubin)):
        if name.startswith((_TEXT, ".nv.constant")):
            digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _disassembled(image: bytes, arch: str) -> list[Instruction]:
    if not image:
        raise DisassemblyError("no function with machine code in this cubin")
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(image)
        file.flush()
        tool = cuobjdump().with_name("nvdisasm")
        text = run_tool(tool, "-novliw", "-b", arch.replace("sm_", "SM"), file.name)
    return [found for line in text.splitlines() if (found := parse_instruction(line))]


def _code(cubin: bytes) -> Iterator[tuple[str, bytes]]:
    """Names of functions with their code: the sections `.text.NAME` of a cubin."""
    for name, content in _sections(cubin):
        if name.startswith(_TEXT):
            yield name.removeprefix(_TEXT), content


def _sections(cubin: bytes) -> Iterator[tuple[str, bytes]]:
    """Names of sections with their content: a cubin is an ELF64 file."""
    try:
        (table,) = struct.unpack_from(_SECTIONS_AT[1], cubin, _SECTIONS_AT[0])
        size, count, names = struct.unpack_from(_SECTIONS[1], cubin, _SECTIONS[0])
        headers = [struct.unpack_from(_SECTION, cubin, table + size * index) for index in range(count)]
        for name, offset, length in headers:
            start = headers[names][1] + name
            label = cubin[start : cubin.index(b"\0", start)].decode()
            yield label, cubin[offset : offset + length]
    except (struct.error, ValueError, IndexError, OverflowError):
        raise DisassemblyError("not a cubin") from None
