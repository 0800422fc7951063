"""Checkpoints on this machine: loaded, or refused in one line; identified by a hash of their weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.quality.environment import load
from quantroof.quality.memory.stored import read_header

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
        try:
            return load("transformers").AutoConfig.from_pretrained(self.path)
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"config.json: {_first_line(error)}", where=str(self.path)) from None

    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer; UsageError where there is none."""
        transformers = load("transformers")
        try:
            return transformers.AutoTokenizer.from_pretrained(self.path)
        except (OSError, ValueError) as error:
            raise UsageError(f"has no tokenizer: {_first_line(error)}", where=str(self.path)) from None

    def model(self, dtype: torch.dtype | None = None, device: str = "cpu", **options: Any) -> torch.nn.Module:
        """The causal language model in `dtype`, or as stored; UsageError for what cannot be loaded."""
        transformers = load("transformers")
        try:
            model: torch.nn.Module = transformers.AutoModelForCausalLM.from_pretrained(
                self.path, dtype=dtype or "auto", device_map={"": device}, **options
            )
        except ImportError as error:
            raise EnvironmentMissing(_first_line(error), where=str(self.path)) from None
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UsageError(f"cannot be loaded: {_first_line(error)}", where=str(self.path)) from None
        return model.eval()


def open_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at a path. UsageError where there is none or half of one: nothing is downloaded here."""
    if not path.is_dir():
        hint = "give a directory; models are not downloaded here"
        raise UsageError("no checkpoint here", where=str(path), hint=hint)
    if not (path / "config.json").exists():
        raise UsageError("has no config.json, so is no Hugging Face checkpoint", where=str(path))
    for file in weight_files(path):
        read_header(file)  # refuses half a file
    return Checkpoint(path)


def weight_files(path: Path) -> list[Path]:
    """The *.safetensors of a checkpoint, all that its index names. UsageError for a half one."""
    index = path / "model.safetensors.index.json"
    if index.exists():
        try:
            named = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UsageError("is no index of weights", where=str(index)) from None
        files = [path / Path(str(name)).name for name in named]
    else:
        files = sorted(path.glob("*.safetensors"))
    missing = [file.name for file in files if not file.exists()]
    if missing or not files:
        what = f"lacks {', '.join(missing)}" if missing else "has no *.safetensors"
        raise UsageError(what, where=str(path), hint="complete the download first")
    return files


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
