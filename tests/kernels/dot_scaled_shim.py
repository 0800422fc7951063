"""`tl.dot_scaled` under Triton's interpreter: a product of decoded values in float64.

The interpreter lacks it before 3.8, and reads e4m3 scales as powers of two since.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from triton.language.semantic import TritonSemantic
from triton.runtime import interpreter

from quantroof.kernels.block_scales import e2m1_values, e8m0_values
from quantroof.kernels.packing import unpack_nibbles


def have_dot_scaled() -> None:
    """Put the product in the place of the interpreter's own."""
    if not hasattr(interpreter.InterpreterBuilder, "create_dot_scaled"):
        _pass_formats_as_text()

    def create_dot_scaled(
        _: Any, a: Any, a_scale: Any, a_format: Any, b: Any, b_scale: Any, b_format: Any, *rest: Any
    ) -> Any:
        acc = rest[-1]
        left = _decoded(a.data, a_format) * _spread(a_scale, a.data.shape[0])
        right = _decoded(b.data.T, b_format) * _spread(b_scale, b.data.shape[1])
        total = acc.data + (left @ right.T).astype(acc.data.dtype)
        return interpreter.TensorHandle(total, acc.dtype.scalar)

    interpreter.InterpreterBuilder.create_dot_scaled = create_dot_scaled


class _Named(str):
    """Triton 3.6 and 3.7 ask a format for its `value`, which a plain text lacks."""

    @property
    def value(self) -> str:
        """The text."""
        return str(self)


def _pass_formats_as_text() -> None:
    """The two functions that turn formats into types of the IR need a compiler."""
    original = TritonSemantic.dot_scaled

    def dot_scaled(
        self: Any, a: Any, a_scale: Any, a_format: str, b: Any, b_scale: Any, b_format: str, *rest: Any
    ) -> Any:
        return original(self, a, a_scale, _Named(a_format), b, b_scale, _Named(b_format), *rest)

    TritonSemantic.dot_scaled = dot_scaled
    TritonSemantic._str_to_fp_type = lambda _, name: name
    TritonSemantic._bitcast_to_fp_type = lambda _, value, __: value


def _decoded(data: Any, name: Any) -> Any:
    """Codes of one side [rows, K / codes per byte] as float64; `name` is text or a type of the IR."""
    codes = torch.from_numpy(np.ascontiguousarray(data).view(np.uint8))
    packed = str(name).upper().endswith("E2M1")
    values = e2m1_values(unpack_nibbles(codes)) if packed else codes.view(torch.float8_e4m3fn).float()
    return values.double().numpy()


def _spread(scale: Any, rows: int) -> Any:
    """Scales [rows, K / block] by value, repeated over their blocks: 32 elements for e8m0, 16 for e4m3."""
    e8m0 = str(scale.dtype.scalar) == "uint8"
    codes = torch.from_numpy(np.ascontiguousarray(scale.data).view(np.uint8)).reshape(rows, -1)
    values = e8m0_values(codes) if e8m0 else codes.view(torch.float8_e4m3fn).float()
    return values.double().repeat_interleave(32 if e8m0 else 16, dim=1).numpy()
