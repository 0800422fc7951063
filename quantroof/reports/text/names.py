"""The names that options take, as tables: formats, kernels, suites, models and GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quantroof.reports.text.table import plain
from quantroof.units import decimals

HEADINGS: dict[str, tuple[str, ...]] = {
    "formats": ("format", "weights", "activations", "what it is"),
    "kernels": ("kernel", "provider", "runs on", "formats"),
    "suites": ("suite", "what it measures"),
    "models": ("model", "repository"),
    "gpus": ("gpu", "memory_gb", "bandwidth_gb_per_s", "device names"),
}
Rows = Sequence[tuple[str, ...]]
_WIDEST = 80  # characters of the last cell


def rows(kind: str) -> Rows:
    """One row per name, in the order of `HEADINGS[kind]`."""
    return _ROWS[kind]()


def lines(kind: str, table: Rows) -> list[str]:
    """The rows as a table that fits most terminals: a long last cell is cut."""
    headings = HEADINGS[kind]
    short = [
        (*row[:-1], row[-1] if len(row[-1]) <= _WIDEST else f"{row[-1][: _WIDEST - 3]}...") for row in table
    ]
    return plain(headings, short, right=[name for name in headings if "_" in name])


def _formats() -> Rows:
    from quantroof.kernels.schemes import SCHEMES

    return [(s.name, str(s.weight), str(s.activation), s.summary) for s in SCHEMES.values()]


def _kernels() -> Rows:
    from quantroof.kernels.registry import load

    registry = load()
    able = [
        (k.name, k.provider, ", ".join(k.targets), ", ".join(k.schemes)) for k in registry.kernels.values()
    ]
    missing = [
        (module.rpartition(".")[2], "not available", "", reason) for module, reason in registry.broken.items()
    ]
    return sorted(able) + sorted(missing)


def _suites() -> Rows:
    from quantroof.bench.suite import descriptions

    return list(descriptions().items())


def _models() -> Rows:
    from quantroof.advisor.model_lookup import catalog

    return [(model.id, model.repository or "") for model in catalog().values()]


def _gpus() -> Rows:
    from quantroof.hwprofiles.catalog import profiles

    return [
        (
            p.id,
            decimals(p.memory_gb, 0),
            decimals(p.bandwidth_bytes_per_s / 1e9, 0),
            ", ".join(p.device_names),
        )
        for p in profiles().values()
    ]


_ROWS: dict[str, Callable[[], Rows]] = {
    "formats": _formats,
    "kernels": _kernels,
    "suites": _suites,
    "models": _models,
    "gpus": _gpus,
}
