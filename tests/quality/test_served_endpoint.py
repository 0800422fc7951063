"""Endpoints that misbehave, and requests that cannot be: one line each, and the right exit code."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from quantroof.errors import EnvironmentMissing, ExitCode, QuantroofError, UsageError
from quantroof.quality.served import load
from quantroof.quality.served.endpoint import Endpoint, base_url, takes_ignore_eos

Run = Callable[..., tuple[int, str, str]]
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
    thread = Thread(target=server.serve_forever, args=(0.01,))
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
    """After 422 for `ignore_eos` the load is run without it."""
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
        (200, b"<html>a web page</html>", 2, "does not answer as an OpenAI-compatible server"),
        (200, b"[]", 2, "does not answer as an OpenAI-compatible server"),
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
    with pytest.raises(UsageError, match="is not an http address"):
        base_url(text)


def test_without_the_tool_the_command_says_what_brings_it(
    run_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3 and the extra; importing needs no tool."""
    monkeypatch.setattr(load, "_TOOL", "no_such_load_tool")
    code, _, error = run_command("endpoint", "http://127.0.0.1:9", "--model", "m")

    assert code == ExitCode.ENVIRONMENT
    assert "pip install 'guidellm" in error
    assert "--import" in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give the URL of a server, or --import"),
        (("http://127.0.0.1:9",), "name of the served model is missing"),
        (("nonsense", "--model", "m"), "is not an http address"),
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
