"""The grouped product of a layer of experts: every expert multiplies the rows that are routed to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from quantroof.errors import UsageError
from quantroof.kernels.case import PARSERS, Case
from quantroof.kernels.experts.routing import rows_per_expert
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import Scheme

PREFIX = "grouped_gemm/"
_ID = re.compile(
    r"grouped_gemm/(?P<weight>[^-/]+)-(?P<activation>[^-/]+)-(?P<output>[^-/]+)"
    r"/t(?P<t>\d+)-p(?P<p>\d+)-e(?P<e>\d+)-n(?P<n>\d+)-k(?P<k>\d+)-(?P<routing>[a-z0-9.]+)"
)
_HINT = "like grouped_gemm/bf16-bf16-bf16/t16-p8-e128-n1536-k2048-uniform"


@dataclass(frozen=True, slots=True)
class ExpertsCase(Case):
    """y_e = x_e w_e^T for every expert e; the rows of x lie one expert after the other, without padding.

    The weight is [experts x N, K], the M rows are tokens x experts per token. Counts: 2 M N K; bytes are the
    weights of the experts that get a row, the rows and the output, each once.
    """

    experts: int = 1
    per_token: int = 1
    routing: str = "uniform"

    def __post_init__(self) -> None:
        if self.experts < 1 or self.per_token < 1:
            raise UsageError(f"{self.per_token} of {self.experts} experts per token route nothing")
        super(ExpertsCase, self).__post_init__()
        _ = self.rows  # refuses a routing that does not fit

    @classmethod
    def of(cls, chosen: Scheme, tokens: int, layer: tuple[int, int, int, int], routing: str) -> ExpertsCase:
        """A scheme at a layer (experts, experts per token, N, K)."""
        if chosen.operation != "linear":
            raise UsageError(f"{chosen.name} is not a format of products")
        experts, per_token, n, k = layer
        formats = (chosen.weight, chosen.activation, chosen.output)
        return cls("grouped_gemm", *formats, tokens * per_token, n, k, experts, per_token, routing)

    @classmethod
    def parse(cls, text: str) -> ExpertsCase:
        """Read a case id back."""
        match = _ID.fullmatch(text)
        if match is None:
            raise UsageError(f"'{text}' is not a case id", hint=_HINT)
        weight, activation, output = (Format.parse(match[key]) for key in ("weight", "activation", "output"))
        tokens, per_token, experts, n, k = (int(match[key]) for key in "tpenk")
        formats = (weight, activation, output)
        m = tokens * per_token
        return cls("grouped_gemm", *formats, m, n, k, experts, per_token, match["routing"])

    @property
    def id(self) -> str:
        """Stable text: `grouped_gemm/bf16-bf16-bf16/t16-p8-e128-n1536-k2048-uniform`."""
        formats = f"{self.weight}-{self.activation}-{self.output}"
        sizes = f"t{self.tokens}-p{self.per_token}-e{self.experts}-n{self.n}-k{self.k}"
        return f"{PREFIX}{formats}/{sizes}-{self.routing}"

    @property
    def sizes(self) -> str:
        """The shape as people read it: `16 tokens, 8 of 128 experts, 1536x2048, uniform`."""
        routed = f"{self.per_token} of {self.experts} experts"
        return f"{self.tokens} tokens, {routed}, {self.n}x{self.k}, {self.routing[:16]}"

    @property
    def tokens(self) -> int:
        """Tokens before each is copied to its experts."""
        return self.m // self.per_token

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of each expert."""
        return rows_per_expert(self.routing, self.tokens, self.per_token, self.experts)

    @property
    def ends(self) -> tuple[int, ...]:
        """Where each expert's rows end."""
        return tuple(accumulate(self.rows))

    def padded_rows(self, block: int) -> int:
        """Rows of a layout in which every expert starts at a multiple of a block."""
        return sum(-(-rows // block) * block for rows in self.rows)

    @property
    def weight_rows(self) -> int:
        """Rows of all experts' weights, those that get no row included."""
        return self.experts * self.n

    @cached_property
    def bytes_moved(self) -> int:
        """The weights of the experts that get a row, the rows of x and those of y."""
        active = sum(rows > 0 for rows in self.rows) * self.n
        rows = self.activation.storage_bytes(self.m, self.k) + self.output.storage_bytes(self.m, self.n)
        return self.weight.storage_bytes(active, self.k) + rows


PARSERS[PREFIX] = ExpertsCase.parse
