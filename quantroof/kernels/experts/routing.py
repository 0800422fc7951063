"""How many rows each expert gets: seeded routings, and counts that somebody recorded. Imports no torch.

    uniform               every expert is equally likely
    zipf1.0               expert e has weight 1 / (e + 1)^1.0: a few experts get most rows
    counts.0x12.7x5       12 rows for expert 0 and 5 for expert 7, as recorded

A token chooses its experts without repetition. The seed is the text of the routing and the sizes, so the
counts of a case are the same everywhere and forever.
"""

from __future__ import annotations

import random
import re
from functools import lru_cache

from quantroof.errors import UsageError

_ZIPF = re.compile(r"zipf(\d+(?:\.\d+)?)")
_COUNT = re.compile(r"(\d+)x(\d+)")
MAX_EXPERTS = 2**16
MAX_DRAWS = 2**24
"""Tokens x experts of a routing that is drawn: seconds of work each time a run with such a case is read."""
_MAX_POWER = 8.0  # at which the second expert gets 1 row in 256, and no weight is ever 0
_HINT = "uniform, zipf1.0 or counts.0x12.7x5"


@lru_cache(maxsize=512)
def rows_per_expert(routing: str, tokens: int, per_token: int, experts: int) -> tuple[int, ...]:
    """Rows of each expert, `tokens` x `per_token` in all; UsageError for what cannot be routed so."""
    if per_token > experts:
        raise UsageError(f"a token cannot choose {per_token} of {experts} experts")
    if experts > MAX_EXPERTS:
        raise UsageError(f"{experts} experts are more than {MAX_EXPERTS}")
    if routing.startswith("counts."):
        return _recorded(routing, tokens * per_token, experts)
    if tokens * experts > MAX_DRAWS:
        raise UsageError(f"{tokens} tokens over {experts} experts are too many to draw a routing for")
    weights = _weights(routing, experts)
    chance = random.Random(f"{routing}/{tokens}/{per_token}/{experts}")
    rows = [0] * experts
    for _ in range(tokens):
        for expert in _distinct(chance, weights, per_token):
            rows[expert] += 1
    return tuple(rows)


def _weights(routing: str, experts: int) -> list[float]:
    match = _ZIPF.fullmatch(routing)
    if routing != "uniform" and match is None:
        raise UsageError(f"'{routing}' is not a routing", hint=_HINT)
    power = float(match[1]) if match else 0.0
    if power > _MAX_POWER:
        raise UsageError(f"the power of a zipf routing is at most {_MAX_POWER:g}")
    return [(expert + 1) ** -power for expert in range(experts)]


def _distinct(chance: random.Random, weights: list[float], count: int) -> list[int]:
    """`count` experts without repetition: the largest keys u^(1 / weight) (Efraimidis and Spirakis, 2006)."""
    keys = [chance.random() ** (1 / weight) for weight in weights]
    return sorted(range(len(weights)), key=lambda expert: -keys[expert])[:count]


def _recorded(routing: str, wanted: int, experts: int) -> tuple[int, ...]:
    rows = [0] * experts
    for part in routing.removeprefix("counts.").split("."):
        match = _COUNT.fullmatch(part)
        if match is None:
            raise UsageError(f"'{routing}' is not a routing: '{part}' is not EXPERTxROWS", hint=_HINT)
        expert = int(match[1])
        if expert >= experts:
            raise UsageError(f"the routing names expert {expert}; there are {experts}, from 0 on")
        rows[expert] += int(match[2])
    if sum(rows) != wanted:
        raise UsageError(f"the routing has {sum(rows)} rows, its tokens have {wanted}")
    return tuple(rows)
