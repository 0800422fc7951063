"""One request to an OpenAI-compatible endpoint before any load: does it answer, and what does it accept?"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from quantroof.errors import EnvironmentMissing, QuantroofError, UsageError

Api = Literal["completions", "chat"]
PATHS: dict[Api, str] = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}
_PATIENCE_S = 120.0  # a server may load the model for the first request
_MOST_BYTES = 1 << 20
_DENIED = (401, 403)
_NOT_FOUND = 404
_SERVER_ERRORS = 500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. `url` ends before `/v1`; `key` is sent as a bearer token and never shown."""

    url: str
    model: str
    api: Api = "completions"
    key: str | None = None

    @property
    def address(self) -> str:
        """The full address of the requests."""
        return self.url + PATHS[self.api]


def base_url(text: str) -> str:
    """A server's address without `/v1`. UsageError if it is not an http address."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number
        good = False
    if not good:
        raise UsageError("is not an http address", where=text, hint="write it like http://127.0.0.1:8000")
    return text.rstrip("/").removesuffix("/v1")


def takes_ignore_eos(endpoint: Endpoint) -> bool:
    """Ask for one token; says whether the server takes `ignore_eos`, which keeps answers at full length.

    vLLM, SGLang and TensorRT-LLM take the field; a strict server refuses a request that has it. Raises
    UsageError if the request is wrong, EnvironmentMissing if the server does not work.
    """
    try:
        _ask(endpoint, {"ignore_eos": True})
    except UsageError:
        _ask(endpoint, {})
        return False
    return True


def _ask(endpoint: Endpoint, extra: dict[str, Any]) -> None:
    payload: dict[str, Any] = {"model": endpoint.model, "max_tokens": 1, **extra}
    if endpoint.api == "chat":
        payload["messages"] = [{"role": "user", "content": "hello"}]
    else:
        payload["prompt"] = "hello"
    headers = {"Content-Type": "application/json"}
    if endpoint.key is not None:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    request = Request(endpoint.address, json.dumps(payload).encode(), headers)  # noqa: S310 - http only, checked
    try:
        with urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310
            body = answer.read(_MOST_BYTES)
    except HTTPError as error:
        with error:
            refusal = _refused(endpoint, error.code, error.read(_MOST_BYTES))
        raise refusal from None
    except (URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        hint = "check that the server is up and the port is right"
        raise EnvironmentMissing(f"does not answer: {reason}", where=endpoint.url, hint=hint) from None
    if "choices" not in _object(body):
        raise UsageError("does not answer as an OpenAI-compatible server does", where=endpoint.address)


def _refused(endpoint: Endpoint, status: int, body: bytes) -> QuantroofError:
    """The error of an HTTP status, with what the server said of it."""
    said = _message(body)
    what = f"answered {status}" + (f": {said}" if said else "")
    if status >= _SERVER_ERRORS:
        return EnvironmentMissing(what, where=endpoint.address, hint="see the server's log")
    hint = None
    if status in _DENIED:
        hint = "name the variable that holds the key with --api-key-env"
    elif status == _NOT_FOUND:
        hint = f"is '{endpoint.model}' the name it serves, and the address without a path?"
    return UsageError(what, where=endpoint.address, hint=hint)


def _message(body: bytes) -> str:
    """The error text of a JSON answer, in one printable line."""
    answer = _object(body)
    error = answer.get("error") or answer.get("message") or answer.get("detail") or ""
    text = error.get("message", "") if isinstance(error, dict) else error
    return "".join(c for c in " ".join(str(text).split()) if c.isprintable())[:300]


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
