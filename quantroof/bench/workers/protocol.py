"""The messages between a run and its worker processes: tagged JSON over a socket pair."""

from __future__ import annotations

import msgspec

from quantroof.bench.settings import Settings
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Anchor, Ceiling, GroupKey, Measurement, Moment


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="message"):
    """Base of every message."""


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """The worker has loaded its libraries and opened its device; otherwise `trouble` is the reason."""

    trouble: str | None = None


class MeasureCase(Message, frozen=True, kw_only=True, tag="measure"):
    """Measure these kernels on this case, one MeasurementReply each, then Done."""

    case: str
    kernels: tuple[str, ...]


class MeasureCeilings(Message, frozen=True, kw_only=True, tag="ceilings"):
    """Measure the device's ceilings but those done: a reply per group and per ceiling, then Done.

    At the end of a run only read and copy are measured again, to see whether the machine changed its state.
    """

    quick: bool
    done: tuple[GroupKey, ...] = ()
    moment: Moment = "start"


class MeasureAnchors(Message, frozen=True, kw_only=True, tag="anchors"):
    """Time the anchors now, one AnchorReply each, then Done."""

    moment: Moment


class Setup(Message, frozen=True, kw_only=True, tag="setup"):
    """The first message to a worker."""

    device: Device
    settings: Settings
    token: str
    """What every reply must carry: a child of the worker, or a kernel that writes to its socket, has none."""


class MeasurementReply(Message, frozen=True, kw_only=True, tag="measurement"):
    """One measurement."""

    measurement: Measurement


class CeilingReply(Message, frozen=True, kw_only=True, tag="ceiling"):
    """One ceiling."""

    ceiling: Ceiling


class GroupStarted(Message, frozen=True, kw_only=True, tag="group_started"):
    """The worker begins a group of ceilings: the reason, if it is lost before the group is done."""

    group: GroupKey


class AnchorReply(Message, frozen=True, kw_only=True, tag="anchor"):
    """One anchor."""

    anchor: Anchor


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """The request is answered. `unusable` is a reason why this process must not be used again."""

    unusable: str | None = None


Request = Setup | MeasureCase | MeasureCeilings | MeasureAnchors
Answer = MeasurementReply | GroupStarted | CeilingReply | AnchorReply
Reply = Hello | Answer | Done


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A reply on its way: who wrote it, in answer to which request, and the how manieth of its answers."""

    token: str
    pid: int
    request: int
    number: int
    reply: Reply


_ENCODER = msgspec.json.Encoder()
_REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_ENVELOPES: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(Envelope)


def encode(message: Message | Envelope) -> bytes:
    """A message as bytes."""
    return _ENCODER.encode(message)


def decode_request(data: bytes) -> Request:
    """Read a request of the run."""
    return _REQUESTS.decode(data)


def decode_envelope(data: bytes) -> Envelope:
    """Read a reply of a worker; msgspec.DecodeError where it is unreadable."""
    return _ENVELOPES.decode(data)
