"""Finds a model: in the shipped catalog by any of its names, or in a config.json by path."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from quantroof.advisor.huggingface import read_config
from quantroof.advisor.models import Model
from quantroof.errors import unknown_name

_FILES = ("models.toml", "models_2026.toml")
_ADDRESS = re.compile(
    r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|modelscope\.cn/models)/", re.IGNORECASE
)
# Endings that name the tuning or the date of a checkpoint, not another architecture.
_TUNING = re.compile(r"-(?:instruct|it|chat|hf|base|thinking|fp16|bf16|preview|\d{4})$|(?<=x7b|22b)-v0\.1$")
# Endings that name the format of a quantized copy; the first that matches counts.
_STORED = (
    (re.compile(r"-(?:quantized\.)?w8a8(?:-int8)?$|-int8-w8a8$"), "int8-w8a8"),
    (re.compile(r"-(?:quantized\.)?w8a16$|-gptq-int8$|-int8$"), "int8-w8a16"),
    (
        re.compile(r"-(?:quantized\.)?w4a16(?:-g128)?$|-(?:awq|gptq)(?:-int4|-4bit)?(?:-g128)?$|-int4$"),
        "int4-w4a16",
    ),
    (re.compile(r"-(?:unsloth-)?bnb-4bit$|-nf4$"), "nf4-w4a16"),
    (re.compile(r"-nvfp4(?:a4)?$|-fp4$"), "nvfp4-w4a4"),
    (re.compile(r"-nvfp4a16$"), "nvfp4-w4a16"),
    (re.compile(r"-mxfp4$"), "mxfp4-w4a16"),
    (re.compile(r"-fp8-static(?:-pertensor)?$"), "fp8-w8a8-static"),
    (re.compile(r"-fp8(?:-dynamic|-kv)?$"), "fp8-w8a8"),
)


@lru_cache(maxsize=1)
def catalog() -> dict[str, Model]:
    """Every shipped model by id."""
    tables: dict[str, dict[str, Any]] = {}
    for name in _FILES:
        data = tomllib.loads((files("quantroof") / "advisor" / name).read_text(encoding="utf-8"))
        tables |= {key: value for key, value in data.items() if key != "schema"}
    return {key: _model(key, table) for key, table in tables.items()}


def _model(key: str, table: dict[str, Any]) -> Model:
    copies, wide = (list(table.get(name, {}).items()) for name in ("checkpoints", "wide"))
    return msgspec.convert({"id": key, **table, "checkpoints": copies, "wide": wide}, Model)


def model(name: str) -> Model:
    """A model by id, by repository as people paste it, or by the path of a config.json or of its folder."""
    path = Path(name)
    if name.lower() not in catalog() and (path.suffix == ".json" or path.exists()):
        return read_config(path / "config.json" if path.is_dir() else path)
    pasted = _ADDRESS.sub("", name.strip()).strip("/")
    shipped = _shipped(pasted)
    if shipped is None:
        raise unknown_name("model", name, list(catalog()))
    return shipped


def _shipped(pasted: str) -> Model | None:
    """By id or repository; then as a quantized or tuned copy of what its ending leaves."""
    exact = _exact().get(pasted.lower())
    if exact is not None:
        return exact
    rest, stored = _bare(pasted), None
    while rest not in _bare_names():
        shorter, ending = _without_ending(rest)
        if shorter == rest:
            return None
        rest, stored = shorter, stored or ending
    owner = pasted if "/" in pasted else None
    base = _bare_names()[rest]
    if stored is None:
        return msgspec.structs.replace(base, repository=owner or base.repository)
    return msgspec.structs.replace(base, repository=owner or pasted, native_format=stored)


def _without_ending(name: str) -> tuple[str, str | None]:
    """A name without its last ending, and the format that this ending names."""
    for pattern, stored in _STORED:
        if pattern.search(name):
            return pattern.sub("", name), stored
    return _TUNING.sub("", name), None


@lru_cache(maxsize=1)
def _exact() -> dict[str, Model]:
    """Ids, repositories and names of repositories without their owner."""
    names: dict[str, Model] = {}
    for entry in catalog().values():
        for repository, stored in entry.checkpoints:
            copy = msgspec.structs.replace(entry, repository=repository, native_format=stored)
            names[repository.lower()] = names[_bare(repository)] = copy
    for entry in catalog().values():
        if entry.repository:
            names[entry.repository.lower()] = names[_bare(entry.repository)] = entry
    return names | catalog()


@lru_cache(maxsize=1)
def _bare_names() -> dict[str, Model]:
    """The same without the endings that tuning adds."""
    names = {_without_tuning(_bare(e.repository)): e for e in catalog().values() if e.repository}
    return names | _exact()


def _bare(name: str) -> str:
    """The last part of a repository, in lower case, without Meta's older prefix."""
    return name.rpartition("/")[2].lower().removeprefix("meta-").replace("-instruct-v", "-v")


def _without_tuning(name: str) -> str:
    while (shorter := _TUNING.sub("", name)) != name:
        name = shorter
    return name
