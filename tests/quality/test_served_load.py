"""A real server of a model under real load: `transformers serve` of a tiny Llama, guidellm, 127.0.0.1."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

from quantroof.errors import EnvironmentMissing
from quantroof.quality.served import load
from quantroof.quality.served.endpoint import Endpoint

Run = Callable[..., tuple[int, str, str]]
PREDICT = ("--predict-for", "a100-sxm4-80gb", "--as-model", "llama-3.1-8b")


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _needs(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: needs the extras llm and serve, and transformers[serving]")


def _tiny_llama(folder: Path) -> None:
    """Two random layers and a byte-level tokenizer; without an end token every answer has its full length."""
    import torch

    from quantroof.quality.environment import load as package

    tokenizers, transformers = package("tokenizers"), package("transformers")
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = byte_level(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=byte_level.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(["the quick brown fox jumps over the lazy dog"], trainer)
    torch.manual_seed(9)
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """`transformers serve` of a tiny Llama on 127.0.0.1, while the module runs; gives address and model."""
    _needs("transformers", "guidellm", "fastapi", "uvicorn", "openai")
    folder = tmp_path_factory.mktemp("served") / "tiny-llama"
    _tiny_llama(folder)
    url = f"http://127.0.0.1:{_free_port()}"
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    log = folder.parent / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", port, "--device", "cpu"],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(f"{url}/health", server, log)
            yield url, folder
        finally:
            server.kill()
            server.wait()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def test_a_real_server_under_real_load(served: tuple[str, Path], tmp_path: Path, run_command: Run) -> None:
    """Requests complete with the lengths asked for; times are positive; a file of records remains.

    `transformers serve` refuses `ignore_eos`, so this is the strict path end to end.
    """
    url, model = served
    out = tmp_path / "served.jsonl"
    options = ("--requests", 4, "--prompt-tokens", 16, "--output-tokens", 8, "--seconds", 60, "--out", out)
    code, text, error = run_command(
        "endpoint", url, "--model", model, "--concurrency", "1,3", *options, "--json"
    )
    loads = json.loads(text)["loads"]

    assert code == 0, error
    assert "rejects ignore_eos" in error
    counts = [(x["concurrency"], x["completed"], x["failed"], x["unfinished"]) for x in loads]
    assert [(x["concurrency"], x["failed"]) for x in loads] == [(1, 0), (3, 0)], counts
    # On a busy machine guidellm was once seen to report another number than asked for, without a failure.
    assert all(abs(x["completed"] - 4 * x["concurrency"]) <= x["concurrency"] for x in loads), counts
    for found in loads:
        assert found["prompt_tokens"] == 16 * found["completed"]
        assert found["output_tokens"] == 8 * found["completed"]
        assert found["first_token"]["count"] == found["completed"]
        assert found["first_token"]["median_ns"] > 0
        assert found["output_tokens_per_s"] > 0
    again, _, _ = run_command("endpoint", "--import", out, *PREDICT)
    assert again == 0


def test_a_model_that_is_not_served_is_one_line(served: tuple[str, Path], run_command: Run) -> None:
    """The server's own words, before any load, with exit code 2."""
    code, _, error = run_command("endpoint", served[0], "--model", "nosuch")

    assert code == 2
    assert "requested 'nosuch'" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_tokenizer_that_is_not_here_is_one_line(served: tuple[str, Path], run_command: Run) -> None:
    """Exit code 3 and what to name; nothing is fetched."""
    url, model = served
    code, _, error = run_command("endpoint", url, "--model", model, "--tokenizer", "no/such-tokenizer")

    assert code == 3
    assert "cannot find the tokenizer on this machine (name its folder with --tokenizer" in error


@pytest.mark.slow
def test_a_load_that_hangs_is_ended_with_its_workers(tmp_path: Path) -> None:
    """A server that takes requests and never answers: an error at the limit, and no process is left."""
    _needs("guidellm", "transformers")
    _tiny_llama(tmp_path / "tok")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = Endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}", "m")
        workload = load.Workload((1,), 1, 16, 8, 300.0, str(tmp_path / "tok"))
        plan = tmp_path / "scenario.json"
        plan.write_text(json.dumps(load.scenario(endpoint, workload, tmp_path / "r.json", ignore_eos=True)))
        with pytest.raises(EnvironmentMissing, match="did not end within 20 s"):
            load._guidellm(plan, tmp_path / "log.txt", 20.0)

    left = [p for p in psutil.process_iter(["cmdline"]) if str(plan) in " ".join(p.info["cmdline"] or ())]
    assert left == []
