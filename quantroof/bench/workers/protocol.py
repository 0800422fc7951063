"""What a run and its worker processes say to each other: tagged JSON messages over a socket pair."""

from __future__ import annotations

import msgspec

from quantroof.bench.settings import Settings
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Anchor, Ceiling, Measurement, Moment


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="message"):
    """Base of every message."""


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """The worker is up, with its libraries loaded and its device ready, unless `trouble` says why not."""

    trouble: str | None = None


class MeasureCase(Message, frozen=True, kw_only=True, tag="measure"):
    """Measure these kernels on this case, one Result each, then Done."""

    case: str
    kernels: tuple[str, ...]


class MeasureCeilings(Message, frozen=True, kw_only=True, tag="ceilings"):
    """Measure the device's ceilings, one Found each, then Done."""

    quick: bool


class MeasureAnchors(Message, frozen=True, kw_only=True, tag="anchors"):
    """Time the anchors now, one Anchored each, then Done."""

    moment: Moment


class Setup(Message, frozen=True, kw_only=True, tag="setup"):
    """The first message to a worker."""

    device: Device
    settings: Settings


class Result(Message, frozen=True, kw_only=True, tag="result"):
    """One measurement."""

    measurement: Measurement


class Found(Message, frozen=True, kw_only=True, tag="found"):
    """One ceiling."""

    ceiling: Ceiling


class Anchored(Message, frozen=True, kw_only=True, tag="anchored"):
    """One anchor."""

    anchor: Anchor


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """The request is answered. `poisoned` says why this process must not be used again, if so."""

    poisoned: str | None = None


Request = Setup | MeasureCase | MeasureCeilings | MeasureAnchors
Answer = Result | Found | Anchored
Reply = Hello | Answer | Done

_ENCODER = msgspec.json.Encoder()
_REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_REPLIES: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def encode(message: Message) -> bytes:
    """A message as bytes."""
    return _ENCODER.encode(message)


def decode_request(data: bytes) -> Request:
    """Read what the run said."""
    return _REQUESTS.decode(data)


def decode_reply(data: bytes) -> Reply:
    """Read what a worker said; msgspec.DecodeError for garbage."""
    return _REPLIES.decode(data)
