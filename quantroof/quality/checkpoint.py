"""Checkpoints on this machine: loaded, or refused in one line; identified by a hash of their weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from quantroof.errors import UsageError
from quantroof.files import read_text
from quantroof.quality.environment import load
from quantroof.quality.memory.stored import read_header
from quantroof.quality.refusals import accepting, enough_memory

_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A directory with config.json, *.safetensors and a tokenizer."""

    path: Path
    label: str | None = None

    @property
    def name(self) -> str:
        """What reports call it: its label, or its directory's name."""
        return self.label or self.path.name

    def weights_digest(self) -> str:
        """Hash of all weight files: results of two models never mix, even under the same name."""
        whole = sha256()
        for file in weight_files(self.path):
            with file.open("rb") as handle:
                while block := handle.read(_BLOCK):
                    whole.update(block)
        return whole.hexdigest()[:16]

    def config(self) -> Any:
        """The model's configuration; UsageError for an architecture that transformers does not know."""
        _read_config(self.path / "config.json")
        with accepting("config.json", self.path):
            return load("transformers").AutoConfig.from_pretrained(self.path)

    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer; UsageError if there is none."""
        if not any(self.path.glob("tokenizer*")) and not (self.path / "vocab.json").exists():
            hint = "copy tokenizer.json of the original model"
            raise UsageError("has no tokenizer", where=str(self.path), hint=hint)
        with accepting("its tokenizer cannot be read", self.path):
            return load("transformers").AutoTokenizer.from_pretrained(self.path)

    def model(self, dtype: torch.dtype | None = None, device: str = "cpu", **options: Any) -> torch.nn.Module:
        """The causal language model in `dtype`, or as stored; UsageError for what cannot be loaded."""
        auto = load("transformers").AutoModelForCausalLM
        with accepting("cannot be loaded", self.path), enough_memory(f"model {self.name}"):
            model: torch.nn.Module = auto.from_pretrained(
                self.path, dtype=dtype or "auto", device_map={"": device}, **options
            )
        return model.eval()


def open_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at a path. UsageError if there is none or half of one: nothing is downloaded here."""
    if not path.is_dir():
        hint = "give a directory; models are not downloaded here"
        raise UsageError("no checkpoint here", where=str(path), hint=hint)
    if not (path / "config.json").exists():
        raise UsageError("has no config.json, so it is not a Hugging Face checkpoint", where=str(path))
    for file in weight_files(path):
        read_header(file)  # refuses half a file
    return Checkpoint(path)


def architecture(path: Path) -> Any:
    """The configuration in a config.json, or in a directory's, of the model before any quantization.

    UsageError for another kind of file, or an architecture that transformers does not know.
    """
    file = path / "config.json" if path.is_dir() else path
    data = _read_config(file)
    data.pop("quantization_config", None)
    with accepting("describes no model", file):
        return load("transformers").AutoConfig.for_model(**data)


def _read_config(file: Path) -> dict[str, Any]:
    """What a config.json holds. UsageError for another kind of file, or an unknown architecture."""
    try:
        data = json.loads(read_text(file))
    except (ValueError, RecursionError):
        raise UsageError("is not JSON", where=str(file), hint="give a checkpoint or a config.json") from None
    if not isinstance(data, dict) or not isinstance(data.get("model_type"), str):
        raise UsageError("has no model_type, so it does not describe a model", where=str(file))
    if data["model_type"] not in load("transformers").CONFIG_MAPPING:
        own = "code that comes with a checkpoint is not run" if "auto_map" in data else None
        raise UsageError(f"unknown architecture '{data['model_type']}'", where=str(file), hint=own)
    return data


def weight_files(path: Path) -> list[Path]:
    """The *.safetensors of a checkpoint, all that its index names. UsageError for a half one."""
    index = path / "model.safetensors.index.json"
    if index.exists():
        try:
            named = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise UsageError("is not an index of weights", where=str(index)) from None
        files = [path / Path(str(name)).name for name in named]
    else:
        files = sorted(path.glob("*.safetensors"))
    missing = [file.name for file in files if not file.exists()]
    if not files and (pickled := sorted(path.glob("*.bin"))):
        what = f"has only pickled weights ({pickled[0].name}), which run code when they are loaded"
        raise UsageError(what, where=str(path), hint="convert them to safetensors first")
    if missing or not files:
        what = f"lacks {', '.join(missing)}" if missing else "has no *.safetensors"
        raise UsageError(what, where=str(path), hint="complete the download first")
    return files
