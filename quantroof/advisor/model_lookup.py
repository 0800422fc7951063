"""Finds a model: in the shipped catalog by id, or in a config.json by path."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from quantroof.advisor.huggingface import read_config
from quantroof.advisor.models import Model
from quantroof.errors import unknown_name


@lru_cache(maxsize=1)
def catalog() -> dict[str, Model]:
    """Every shipped model by id."""
    data: dict[str, Any] = tomllib.loads((files("quantroof") / "advisor" / "models.toml").read_text())
    tables = {key: value for key, value in data.items() if key != "schema"}
    return {key: msgspec.convert({"id": key, **table}, Model) for key, table in tables.items()}


def model(name: str) -> Model:
    """A model by its id in the catalog, or by the path of a config.json or of the folder that holds one."""
    models = catalog()
    if name.lower() in models:
        return models[name.lower()]
    path = Path(name)
    if path.suffix == ".json" or path.exists():
        return read_config(path / "config.json" if path.is_dir() else path)
    raise unknown_name("model", name, list(models))
