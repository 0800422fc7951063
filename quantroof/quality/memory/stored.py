"""What a checkpoint stores, byte for byte, from the headers of its safetensors files. No torch here.

A file is eight bytes of header length, the header (JSON) and the tensors; their sizes add up to the file's.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from quantroof.errors import UsageError

Role = Literal["weights", "scales", "zero points", "state"]
# How libraries name what they store beside a weight: compressed-tensors, bitsandbytes, AutoGPTQ.
_ROLES: tuple[tuple[Role, tuple[str, ...]], ...] = (
    ("zero points", (".weight_zero_point", ".qzeros", ".input_zero_point")),
    (
        "scales",
        (
            ".weight_scale",
            ".weight_global_scale",
            ".absmax",
            ".nested_absmax",
            ".SCB",
            ".scales",
            ".input_scale",
        ),
    ),
    (
        "state",
        (".weight_shape", ".quant_map", ".nested_quant_map", ".g_idx", ".weight_g_idx", ".weight_format"),
    ),
)
_STATE_INSIDE = ".quant_state."
_LONGEST_HEADER = 100_000_000  # the format's own limit


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a file: its dtype as safetensors writes it, and the bytes it takes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def role(self) -> Role:
        """What it is for: packed or plain weights, their scales and zero points, or other state."""
        for role, endings in _ROLES:
            if self.name.endswith(endings):
                return role
        return "state" if _STATE_INSIDE in self.name else "weights"

    @property
    def layer(self) -> str:
        """The part of the model it belongs to: `layers.3`, or the module's own name outside the layers."""
        parts = self.name.removeprefix("model.").split(".")
        return ".".join(parts[:2]) if parts[0] == "layers" else parts[0]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file: its tensors, and its other bytes (length and header)."""

    path: Path
    tensors: tuple[StoredTensor, ...]
    header_bytes: int

    @property
    def bytes(self) -> int:
        """The file's size on disk."""
        return self.header_bytes + sum(t.bytes for t in self.tensors)


def read_header(file: Path) -> StoredFile:
    """Read a file's header. UsageError if it is broken or the file is shorter or longer than it says."""
    try:
        size = file.stat().st_size
        with file.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if size < 8 or length > min(size - 8, _LONGEST_HEADER):
                raise UsageError("is half a file: its header is cut off", where=str(file))
            header = json.loads(handle.read(length))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from None
    except ValueError:
        raise UsageError("is not a safetensors file", where=str(file)) from None
    tensors = tuple(_tensor(name, entry, file) for name, entry in header.items() if name != "__metadata__")
    stored = StoredFile(file, tensors, 8 + length)
    if stored.bytes != size:
        what = f"is half a file: {size} bytes, its header says {stored.bytes}"
        raise UsageError(what, where=str(file), hint="fetch it again")
    return stored


def _tensor(name: str, entry: Any, file: Path) -> StoredTensor:
    try:
        begin, end = entry["data_offsets"]
        shape = tuple(int(n) for n in entry["shape"])
        return StoredTensor(name, str(entry["dtype"]), shape, int(end) - int(begin))
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"its header does not describe the tensor '{name}'", where=str(file)) from None


def elements(tensor: StoredTensor) -> int:
    """Elements as stored; for a packed weight this is not the number of parameters."""
    return math.prod(tensor.shape)
