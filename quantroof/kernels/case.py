"""A case: an operation, its formats and its shape. Pure data with stable text as its identity."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, get_args

from quantroof.errors import UsageError
from quantroof.kernels.formats import Element, Format
from quantroof.kernels.schemes import Scheme, compute_element, scheme, scheme_of

Operation = Literal["gemv", "gemm", "act_quant", "dequantize", "call", "decode_attention", "grouped_gemm"]
_OPERATIONS: dict[str, Operation] = {o: o for o in get_args(Operation)}
LAYER_OPERATIONS: tuple[Operation, ...] = ("gemv", "gemm")
"""The products of linear layers."""

_ID = re.compile(
    r"(?P<operation>gemv|gemm|act_quant|dequantize)/(?P<weight>[^-/]+)-(?P<activation>[^-/]+)-(?P<output>[^-/]+)"
    r"/m(?P<m>\d+)-n(?P<n>\d+)-k(?P<k>\d+)"
)
_HUGE, _TOO_LARGE = re.compile(r"\d{16}"), 10**15
"""Of sizes within it, a product of four is still a float."""
_CALL_ID = re.compile(
    r"call/(?P<name>[A-Za-z0-9_][\w.+-]{0,79})/(?P<element>[a-z0-9_]+)"
    r"/(?P<axes>fixed|[A-Za-z]\w{0,15}=[1-9]\d{0,14}(,[A-Za-z]\w{0,15}=[1-9]\d{0,14})*)"
)


PARSERS: dict[str, Callable[[str], Case]] = {}
"""Readers of the ids of operations beside the linear layer, by prefix; their modules fill it."""


@lru_cache(maxsize=1024)
def _scheme_name(weight: Format, activation: Format, output: Format) -> str:
    known = scheme_of(weight, activation, output)
    if known is None:
        return f"{weight}-{activation}"
    if known.weight.swizzled:
        return f"{known.name}-swizzled"
    standard = known.weight.group == scheme(known.name).weight.group
    return known.name if standard else f"{known.name}-g{known.weight.group}"


@dataclass(frozen=True)
class Case:
    """y[M, N] = x[M, K] w[N, K]^T in given formats. gemv is the case M = 1.

    act_quant rounds activations [M, K] to an 8-bit format, dequantize writes a weight [M, K] out; both have
    N = K, and "none" for the operand that they lack.

    Counting convention: a multiply-add is 2 operations, dequantization and scaling inside a product count
    none; act_quant counts 2 per element (magnitude, scaling) and dequantize 1. Bytes are the compulsory
    traffic, i.e. packed weights + scales + zero points + activations + output, each once.
    """

    operation: Operation
    weight: Format
    activation: Format
    output: Format
    m: int
    n: int
    k: int

    def __post_init__(self) -> None:
        for name in ("m", "n", "k"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.upper()} = {getattr(self, name)} is not a positive number")
            if getattr(self, name) >= _TOO_LARGE:
                raise UsageError(f"{name.upper()} has more than 15 digits")
        if self.operation == "gemv" and self.m != 1:
            raise UsageError(f"a gemv has M = 1, not {self.m}")
        if self.operation in ("act_quant", "dequantize") and self.n != self.k:
            raise UsageError(f"{self.operation} keeps its shape: N = {self.n} is not K = {self.k}")
        if self.weight.group is not None and self.k % self.weight.group:
            raise UsageError(f"group size {self.weight.group} does not divide K = {self.k}")

    @classmethod
    def linear(cls, scheme: Scheme, m: int, n: int, k: int) -> Case:
        """What a scheme does for a linear layer: a gemv at M = 1, a gemm above, or its other operation."""
        if scheme.operation == "act_quant":
            return cls("act_quant", scheme.weight, scheme.activation, scheme.output, m, k, k)
        if scheme.operation == "dequantize":
            return cls("dequantize", scheme.weight, scheme.activation, scheme.output, n, k, k)
        if scheme.operation == "attention":
            raise UsageError(f"{scheme.name} is a KV cache, not a format of linear layers")
        return cls("gemv" if m == 1 else "gemm", scheme.weight, scheme.activation, scheme.output, m, n, k)

    @property
    def id(self) -> str:
        """Stable text: `gemm/int4.g128-bf16-bf16/m16-n4096-k4096`. Its meaning never changes."""
        formats = f"{self.weight}-{self.activation}-{self.output}"
        return f"{self.operation}/{formats}/m{self.m}-n{self.n}-k{self.k}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """Read a case id back; UsageError for any other text, and for a size of more than 15 digits."""
        if _HUGE.search(text):
            raise UsageError(f"'{text}' has a size of more than 15 digits")
        match = _ID.fullmatch(text)
        if match is not None:
            operation, weight, activation, output, m, n, k = match.groups()
            formats = Format.parse(weight), Format.parse(activation), Format.parse(output)
            return cls(_OPERATIONS[operation], *formats, int(m), int(n), int(k))
        if text.startswith("call/"):
            return CallCase.parse(text)
        for prefix, parse in PARSERS.items():
            if text.startswith(prefix):
                return parse(text)
        raise UsageError(f"'{text}' is not a case id", hint="like gemm/bf16-bf16-bf16/m16-n4096-k4096")

    @property
    def kernel_scheme(self) -> str | None:
        """The scheme that kernels name, whatever its group size and layout; None without a name."""
        known = scheme_of(self.weight, self.activation, self.output)
        return None if known is None else known.name

    @property
    def sizes(self) -> str:
        """The shape as people read it: `16x4096x4096`."""
        return f"{self.m}x{self.n}x{self.k}"

    @cached_property
    def scheme(self) -> str:
        """The scheme's name, or the bare formats where they have no name."""
        return _scheme_name(self.weight, self.activation, self.output)

    @property
    def words(self) -> str:
        """For people: `int8-w8a8, M 16, 28672x4096` (N x K); scheme and sizes of others."""
        is_layer = self.operation in LAYER_OPERATIONS
        return f"{self.scheme}, {f'M {self.m}, {self.n}x{self.k}' if is_layer else self.sizes}"

    @property
    def compute(self) -> Element:
        """The element type that enters the multiplier: the key of the matrix roof. dequantize makes one."""
        if self.operation == "dequantize":
            return self.output.element
        return compute_element(self.activation)

    @cached_property
    def flops(self) -> int:
        """2 M N K of a product; 2 or 1 per element of the others (see the counting convention)."""
        per_element = {"act_quant": 2, "dequantize": 1}.get(self.operation)
        return per_element * self.m * self.k if per_element else 2 * self.m * self.n * self.k

    @property
    def weight_rows(self) -> int:
        """Rows of the weight [rows, K]: N of a product, M of dequantize, none of act_quant."""
        return {"act_quant": 0, "dequantize": self.m}.get(self.operation, self.n)

    @property
    def activation_rows(self) -> int:
        """Rows of the activations [rows, K]."""
        return self.m

    @property
    def weight_bytes(self) -> int:
        """Bytes of the packed weight with its scales and zero points."""
        return self.weight.storage_bytes(self.weight_rows, self.k)

    @cached_property
    def bytes_moved(self) -> int:
        """Compulsory DRAM traffic in bytes (see the counting convention)."""
        activations = self.activation.storage_bytes(self.activation_rows, self.k)
        return self.weight_bytes + activations + self.output.storage_bytes(self.m, self.n)


@dataclass(frozen=True, slots=True)
class CallCase(Case):
    """Any function at some sizes of its axes. `activation` and `output` are the element of its matrix roof.

    The counts are what its author states; a case that was read back from its id has none of them. M, N and K
    are the axes with these names, else the first, second and third one.
    """

    call: str = ""
    axes: tuple[tuple[str, int], ...] = ()
    counts: tuple[int, int] = (0, 0)
    """Operations and bytes."""

    @classmethod
    def of(
        cls, call: str, element: str, axes: tuple[tuple[str, int], ...], flops: int, bytes_moved: int
    ) -> CallCase:
        """A case of a function with its counts."""
        none, fmt = Format.parse("none"), Format.parse(element)
        sizes = dict(axes)
        m, n, k = (sizes.get(name, _nth(axes, i)) for i, name in enumerate("MNK"))
        return cls("call", none, fmt, fmt, m, n, k, call, axes, (flops, bytes_moved))

    @classmethod
    def parse(cls, text: str) -> CallCase:
        """Read the id of a call back, without its counts."""
        match = _CALL_ID.fullmatch(text)
        if match is None:
            raise UsageError(f"'{text}' is not a case id", hint="like call/softmax/bf16/M=16,N=4096")
        pairs = [] if match["axes"] == "fixed" else [pair.split("=") for pair in match["axes"].split(",")]
        return cls.of(match["name"], match["element"], tuple((name, int(size)) for name, size in pairs), 0, 0)

    @property
    def id(self) -> str:
        """Stable text: `call/softmax/bf16/M=16,N=4096`."""
        return f"call/{self.call}/{self.activation.element.name}/{self.sizes}"

    @property
    def sizes(self) -> str:
        """The axes: `M=16,N=4096`."""
        return ",".join(f"{name}={size}" for name, size in self.axes) or "fixed"

    @cached_property
    def scheme(self) -> str:
        """The function with its element, where others have their scheme."""
        return f"{self.call}-{self.activation.element.name}"

    @cached_property
    def flops(self) -> int:
        """As its author counts."""
        return self.counts[0]

    @cached_property
    def bytes_moved(self) -> int:
        """As its author counts, or every argument and output once."""
        return self.counts[1]

    @property
    def weight_rows(self) -> int:
        """It has no weight."""
        return 0

    @property
    def weight_bytes(self) -> int:
        """It has no weight."""
        return 0


def _nth(axes: tuple[tuple[str, int], ...], index: int) -> int:
    named = [size for name, size in axes if name not in ("M", "N", "K")]
    return named[index] if index < len(named) else 1
