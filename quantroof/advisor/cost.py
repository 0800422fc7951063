"""What tokens cost: from a price somebody else stated, never from one built in."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec

from quantroof.errors import UsageError

HOURS_PER_MONTH = 730.0
DAYS_PER_MONTH = HOURS_PER_MONTH / 24
EXAMPLES = "examples"
SCHEMA = "quantroof-prices/1"

Dollars = Annotated[float, msgspec.Meta(ge=0, lt=1e6)]  # TOML has inf


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dollars for an hour of one GPU, with who says so and when."""

    gpu: str
    usd_per_gpu_hour: Dollars
    source: str
    date: str


class _PriceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: str
    price: tuple[Price, ...]


def read_prices(name: str) -> dict[str, Price]:
    """A price file by path, or the shipped dated `examples`. UsageError names the key that is wrong."""
    try:
        if name == EXAMPLES:
            text = (files("quantroof") / "advisor" / "prices.toml").read_text()
        else:
            text = Path(name).read_text()
        found = msgspec.convert(tomllib.loads(text), _PriceFile)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=name) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"is no price file: {error}", where=name) from None
    if found.schema != SCHEMA:
        raise UsageError(f"has the schema '{found.schema}', not '{SCHEMA}'", where=name)
    return {price.gpu: price for price in found.price}


def stated_price(gpu: str, usd_per_gpu_hour: float) -> Price:
    """A price given on the command line, where it was checked."""
    return Price(gpu=gpu, usd_per_gpu_hour=usd_per_gpu_hour, source="stated by the user", date="today")


def usd_per_month(price: Price, gpus: int) -> float:
    """Dollars a month of 730 hours."""
    return price.usd_per_gpu_hour * gpus * HOURS_PER_MONTH


def usd_per_million_tokens(price: Price, gpus: int, tokens_per_s: float) -> float:
    """1e6 n p / (3600 tok/s), at the rate that is really asked for or reached."""
    return 1e6 * gpus * price.usd_per_gpu_hour / (3600 * tokens_per_s)
