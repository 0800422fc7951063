"""Cases: an operation, its formats and its shape. Pure data with stable text as its identity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from quantroof.errors import UsageError
from quantroof.kernels.formats import Element, Format
from quantroof.kernels.schemes import Scheme, compute_element, scheme, scheme_of

Operation = Literal["gemv", "gemm", "act_quant", "dequantize"]
_OPERATIONS: dict[str, Operation] = {o: o for o in get_args(Operation)}

_ID = re.compile(
    r"(?P<operation>gemv|gemm|act_quant|dequantize)/(?P<weight>[^-/]+)-(?P<activation>[^-/]+)-(?P<output>[^-/]+)"
    r"/m(?P<m>\d+)-n(?P<n>\d+)-k(?P<k>\d+)"
)


@dataclass(frozen=True, slots=True)
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
        if self.operation == "gemv" and self.m != 1:
            raise UsageError(f"a gemv has M = 1, not {self.m}")
        if self.operation in ("act_quant", "dequantize") and self.n != self.k:
            raise UsageError(f"{self.operation} keeps its shape: N = {self.n} is not K = {self.k}")
        if self.weight.group is not None and self.k % self.weight.group:
            raise UsageError(f"group size {self.weight.group} does not divide K = {self.k}")

    @classmethod
    def linear(cls, chosen: Scheme, m: int, n: int, k: int) -> Case:
        """What a scheme does for a linear layer: a gemv at M = 1, a gemm above, or its other operation."""
        if chosen.operation == "act_quant":
            return cls("act_quant", chosen.weight, chosen.activation, chosen.output, m, k, k)
        if chosen.operation == "dequantize":
            return cls("dequantize", chosen.weight, chosen.activation, chosen.output, n, k, k)
        return cls("gemv" if m == 1 else "gemm", chosen.weight, chosen.activation, chosen.output, m, n, k)

    @property
    def id(self) -> str:
        """Stable text: `gemm/int4.g128-bf16-bf16/m16-n4096-k4096`. Its meaning never changes."""
        formats = f"{self.weight}-{self.activation}-{self.output}"
        return f"{self.operation}/{formats}/m{self.m}-n{self.n}-k{self.k}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """Read a case id back."""
        match = _ID.fullmatch(text)
        if match is None:
            raise UsageError(f"'{text}' is not a case id", hint="like gemm/bf16-bf16-bf16/m16-n4096-k4096")
        f = match.groupdict()
        weight, activation, output = (Format.parse(f[key]) for key in ("weight", "activation", "output"))
        operation = _OPERATIONS[f["operation"]]
        return cls(operation, weight, activation, output, int(f["m"]), int(f["n"]), int(f["k"]))

    @property
    def scheme(self) -> str:
        """The scheme's name, or the bare formats where they have no name."""
        known = scheme_of(self.weight, self.activation, self.output)
        if known is None:
            return f"{self.weight}-{self.activation}"
        standard = known.weight.group == scheme(known.name).weight.group
        return known.name if standard else f"{known.name}-g{known.weight.group}"

    @property
    def compute(self) -> Element:
        """The element type that enters the multiplier: the key of the matrix roof. dequantize makes one."""
        if self.operation == "dequantize":
            return self.output.element
        return compute_element(self.activation)

    @property
    def flops(self) -> int:
        """2 M N K of a product; 2 or 1 per element of the others (see the counting convention)."""
        per_element = {"act_quant": 2, "dequantize": 1}.get(self.operation)
        return per_element * self.m * self.k if per_element else 2 * self.m * self.n * self.k

    @property
    def weight_rows(self) -> int:
        """Rows of the weight [rows, K]: N of a product, M of dequantize, none of act_quant."""
        return {"act_quant": 0, "dequantize": self.m}.get(self.operation, self.n)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the packed weight with its scales and zero points."""
        return self.weight.storage_bytes(self.weight_rows, self.k)

    @property
    def bytes_moved(self) -> int:
        """Compulsory DRAM traffic in bytes (see the counting convention)."""
        activations = self.activation.storage_bytes(self.m, self.k)
        return self.weight_bytes + activations + self.output.storage_bytes(self.m, self.n)
