"""Optional packages of this room, imported when they are needed, and its device.

A missing one is reported with how to install it.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from types import ModuleType

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.files import require

# What a package is needed for, and the extra that brings it.
_NEEDS = {
    "torch": ("quality", "cpu"),
    "safetensors": ("reading checkpoints", "llm"),
    "tokenizers": ("making a tokenizer", "llm"),
    "transformers": ("loading language models", "llm"),
    "accelerate": ("counting parameters without loading them", "llm"),
    "bitsandbytes": ("LLM.int8(), NF4 and FP4", "llm"),
    "llmcompressor": ("GPTQ, AWQ, SmoothQuant, INT8, FP8 and FP4", "llm"),
    "compressed_tensors": ("quantized checkpoints", "llm"),
    "lm_eval": ("evaluation tasks", "lm-eval"),
}
# Libraries whose progress bars and advice would hide ours.
_TALKATIVE = ("transformers", "llmcompressor", "bitsandbytes", "compressed_tensors")


def load(module: str) -> ModuleType:
    """Import a module of an optional package, kept off the network and quiet.

    Raises EnvironmentMissing if the package is not installed, with the extra that brings it.
    """
    _forbid_downloads()
    package = module.partition(".")[0]
    purpose, extra = _NEEDS[package]
    with quiet():
        library = require(module, purpose, extra)
    if package in _TALKATIVE:
        _hush(package)
    return library


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the libraries' progress bars and warnings; exceptions still pass."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def use_device(name: str) -> str:
    """Make `cpu`, `cuda` or `cuda:1` the device of all that follows; gives `cpu` or `cuda:1`.

    Allocator, streams and libraries go by torch's current device: a second GPU must be that. UsageError for
    another name, EnvironmentMissing for a GPU that is not here.
    """
    torch = load("torch")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise UsageError(f"unknown device '{name}'", hint="cpu or cuda:0")
    number = int(index or 0)
    if kind == "cuda":
        here = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if number >= here:
            what = f"torch finds {here or 'no'} GPU{'s' if here > 1 else ''} here"
            raise EnvironmentMissing(what, where=name, hint="use --device cpu")
        torch.cuda.set_device(number)
    return "cpu" if kind == "cpu" else f"cuda:{number}"


def _forbid_downloads() -> None:
    """Keep the Hugging Face libraries off the network; they read this once, when they are imported.

    A study measures what is on this machine. A model that must be fetched is fetched by its owner first.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ.setdefault("TQDM_DISABLE", "1")


def _hush(package: str) -> None:
    logging.getLogger(package).setLevel(logging.ERROR)
    if package == "transformers":
        logs = import_module("transformers.utils.logging")
        logs.set_verbosity_error()
        logs.disable_progress_bar()
    if package == "llmcompressor":
        import_module("loguru").logger.remove()  # its own logger, on stdout
        logging.getLogger("torch.fx").setLevel(logging.ERROR)  # advice to who calls what it calls
