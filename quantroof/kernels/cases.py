"""Cases: an operation, its formats and its shape. Pure data with stable text as its identity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from quantroof.errors import UsageError
from quantroof.kernels.formats import Element, Format
from quantroof.kernels.schemes import SCHEMES, Scheme, compute_element, scheme_of

Operation = Literal["gemv", "gemm"]

_ID = re.compile(
    r"(?P<operation>gemv|gemm)/(?P<weight>[^-/]+)-(?P<activation>[^-/]+)-(?P<output>[^-/]+)"
    r"/m(?P<m>\d+)-n(?P<n>\d+)-k(?P<k>\d+)"
)


@dataclass(frozen=True, slots=True)
class Case:
    """y[M, N] = x[M, K] w[N, K]^T in given formats. gemv is the case M = 1.

    Counting convention: a multiply-add is 2 operations, dequantisation and scaling count none; bytes are the
    compulsory traffic, i.e. packed weights + scales + zero points + activations + output, each once.
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
        if self.weight.group is not None and self.k % self.weight.group:
            raise UsageError(f"group size {self.weight.group} does not divide K = {self.k}")

    @classmethod
    def linear(cls, scheme: Scheme, m: int, n: int, k: int) -> Case:
        """The linear layer of a scheme: a gemv at M = 1, a gemm above."""
        return cls("gemv" if m == 1 else "gemm", scheme.weight, scheme.activation, scheme.output, m, n, k)

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
        operation: Operation = "gemv" if f["operation"] == "gemv" else "gemm"
        return cls(operation, weight, activation, output, int(f["m"]), int(f["n"]), int(f["k"]))

    @property
    def scheme(self) -> str:
        """The scheme's name, or the bare formats where nobody named them."""
        known = scheme_of(self.weight, self.activation, self.output)
        if known is None:
            return f"{self.weight}-{self.activation}"
        standard = known.weight.group == SCHEMES[known.name].weight.group
        return known.name if standard else f"{known.name}-g{known.weight.group}"

    @property
    def compute(self) -> Element:
        """The element type that enters the multiplier: the key of the matrix roof."""
        return compute_element(self.activation)

    @property
    def flops(self) -> int:
        """2 M N K."""
        return 2 * self.m * self.n * self.k

    @property
    def weight_bytes(self) -> int:
        """Bytes of the packed weight with its scales and zero points."""
        return self.weight.storage_bytes(self.n, self.k)

    @property
    def bytes_moved(self) -> int:
        """Compulsory DRAM traffic in bytes (see the counting convention)."""
        activations = self.activation.storage_bytes(self.m, self.k)
        return self.weight_bytes + activations + self.output.storage_bytes(self.m, self.n)
