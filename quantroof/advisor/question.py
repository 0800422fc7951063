"""A question to the advisor as it was typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked, in the words of the options; None was not said."""

    model_name: str | None = None
    gpu: str | None = None
    run_path: Path | None = None
    context: str = "4096"
    latency: str | None = None
    first_token: str | None = None
    tokens_per_day: str | None = None
    formats: str | None = None
    price: float | None = None
    prices: str | None = None
    output: str | None = None
    kv: str | None = None
    gpus: str = "1,2,4,8"
    memory_share: float | None = None
    efficiency: float | None = None
    launch_us: float | None = None
    link_gbps: float | None = None
    link_latency: float | None = None
