"""Endpoints: real servers that misbehave, and a real one under real load."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

from quantroof.errors import EnvironmentMissing, ExitCode, QuantroofError, UsageError
from quantroof.quality.served import load
from quantroof.quality.served.endpoint import Endpoint, base_url, takes_ignore_eos

Run = Callable[..., tuple[int, str, str]]
PREDICT = ("--predict-for", "a100-sxm4-80gb", "--as-model", "llama-3.1-8b")
GOOD = b'{"choices": [{"text": "x"}]}'


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def answering(
    status: int, body: bytes, *, refused_field: str | None = None
) -> Iterator[tuple[str, list[Any]]]:
    """A server on 127.0.0.1 that gives one answer, 422 to a field; with what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the base class's name
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, request, self.headers.get("Authorization")))
            self.send_response(422 if refused_field in request else status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_lax_server_is_asked_for_full_length() -> None:
    """One request of one token, with the key as a bearer token, to the address without a doubled /v1."""
    with answering(200, GOOD) as (url, asked):
        assert takes_ignore_eos(Endpoint(base_url(f"{url}/v1/"), "m", key="secret"))

    ((path, request, key),) = asked
    assert (path, key) == ("/v1/completions", "Bearer secret")
    assert (request["model"], request["max_tokens"], request["ignore_eos"]) == ("m", 1, True)


def test_a_strict_server_is_asked_again_without_the_field() -> None:
    """422 for `ignore_eos` is no reason to give up: the load goes without it."""
    with answering(200, GOOD, refused_field="ignore_eos") as (url, asked):
        assert not takes_ignore_eos(Endpoint(url, "m", "chat"))

    assert [("ignore_eos" in request) for _, request, _ in asked] == [True, False]
    assert asked[0][0] == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (404, b'{"error": {"message": "The model `m` does not exist."}}', 2, "The model `m` does not exist."),
        (404, b"<html>nothing</html>", 2, "answered 404 (is 'm' the name it serves"),
        (400, b'{"detail": "pinned to another\\n\\u001b[2Jmodel"}', 2, "answered 400: pinned to another"),
        (401, b"", 2, "--api-key-env"),
        (500, b'{"error": "out of memory"}', 3, "answered 500: out of memory"),
        (200, b"<html>a web page</html>", 2, "not as an OpenAI-compatible server"),
        (200, b"[]", 2, "not as an OpenAI-compatible server"),
    ],
)
def test_a_refusal_is_one_line(status: int, body: bytes, code: int, says: str) -> None:
    """Unknown model, wrong address, no key, a failing server, a web page: what it said, and what to do."""
    with answering(status, body) as (url, _), pytest.raises(QuantroofError) as error:
        takes_ignore_eos(Endpoint(url, "m"))

    assert error.value.exit_code == code
    assert says in str(error.value)
    assert str(error.value).isprintable()


def test_a_server_that_is_not_there_is_one_line() -> None:
    """Nothing listens: exit code 3, with the address."""
    url = f"http://127.0.0.1:{_free_port()}"
    with pytest.raises(EnvironmentMissing, match=f"{url}: does not answer: .*refused"):
        takes_ignore_eos(Endpoint(url, "m"))


@pytest.mark.parametrize(
    "text", ["localhost:8000", "ftp://x", "http://", "http://x:port", "file:///etc/passwd"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    """Only http and https, with a host."""
    with pytest.raises(UsageError, match="is no http address"):
        base_url(text)


def test_without_the_tool_the_command_says_what_brings_it(
    run_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3 and the extra; importing needs no tool."""
    monkeypatch.setattr(load, "_TOOL", "no_such_load_tool")
    code, _, error = run_command("endpoint", "http://127.0.0.1:9", "--model", "m")

    assert code == ExitCode.ENVIRONMENT
    assert "quantroof[serve]" in error
    assert "--import" in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give the URL of a server, or --import"),
        (("http://127.0.0.1:9",), "which model"),
        (("nonsense", "--model", "m"), "is no http address"),
        (("http://127.0.0.1:9", "--model", "m", "--concurrency", "1,x"), "list of whole numbers"),
        (("http://127.0.0.1:9", "--model", "m", "--api-key-env", "NOT_SET_HERE"), "NOT_SET_HERE is empty"),
    ],
)
def test_a_wrong_request_is_one_line(run_command: Run, arguments: tuple[str, ...], says: str) -> None:
    """Exit code 2 before anything is started."""
    code, _, error = run_command("endpoint", *arguments)

    assert code == 2
    assert says in error


def test_what_guidellm_is_told(tmp_path: Path) -> None:
    """Counts a concurrency, fixed lengths; a strict server's requests go without `ignore_eos`."""
    workload = load.Workload((1, 4), 8, 256, 64, 30.0, "tok")
    spec = load.scenario(Endpoint("http://h", "m"), workload, tmp_path / "r.json", ignore_eos=False)
    lax = load.scenario(Endpoint("http://h", "m", "chat", "k"), workload, tmp_path, ignore_eos=True)["spec"]

    assert spec["benchmarks"] == [{"profile.streams": 1}, {"profile.streams": 4}]
    assert {"kind": "max_requests", "count": [8, 32]} in spec["spec"]["constraints"]
    assert spec["spec"]["backend"]["extras"] == {"body": {"ignore_eos": None}}
    assert "extras" not in lax["backend"]
    assert (lax["backend"]["request_format"], lax["backend"]["api_key"]) == ("/v1/chat/completions", "k")


# From here on with the real load generator and a real server of a model.


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
    """Every request completes with the lengths asked for; times are positive; a file of records remains.

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
    assert "refuses ignore_eos" in error
    assert [(x["concurrency"], x["completed"], x["failed"]) for x in loads] == [(1, 4, 0), (3, 12, 0)]
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
    assert "does not find the tokenizer here (name its folder with --tokenizer" in error


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
