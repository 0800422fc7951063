"""What tokens cost, from a price in a file or on the command line; none is built in."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec

from quantroof.files import parse_toml, read_text

HOURS_PER_MONTH = 730.0
EXAMPLES = "examples"
SCHEMA = "quantroof-prices/1"

Dollars = Annotated[float, msgspec.Meta(ge=0, lt=1e6)]  # TOML has inf


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dollars per hour of one GPU, with the source and date of the price."""

    gpu: str
    usd_per_gpu_hour: Dollars
    source: str
    date: str


class _PriceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: str
    price: tuple[Price, ...]


def read_prices(name: str) -> dict[str, Price]:
    """A price file by path, or the shipped dated `examples`. UsageError names the key that is wrong."""
    if name == EXAMPLES:
        text = (files("quantroof") / "advisor" / "prices.toml").read_text(encoding="utf-8")
    else:
        text = read_text(Path(name))
    price_file = parse_toml(text, _PriceFile, name, SCHEMA)
    return {price.gpu: price for price in price_file.price}


def stated_price(gpu: str, usd_per_gpu_hour: float) -> Price:
    """A price from the command line, which has checked it."""
    return Price(gpu=gpu, usd_per_gpu_hour=usd_per_gpu_hour, source="stated by the user", date="today")


def usd_per_month(price: Price, gpus: int) -> float:
    """Dollars per month of 730 hours."""
    return price.usd_per_gpu_hour * gpus * HOURS_PER_MONTH


def usd_per_million_tokens(price: Price, gpus: int, tokens_per_s: float) -> float:
    """1e6 n p / (3600 tok/s), at the rate that is asked for, or that is reached."""
    return 1e6 * gpus * price.usd_per_gpu_hour / (3600 * tokens_per_s)
