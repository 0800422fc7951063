"""Turn the text after --device into devices."""

from __future__ import annotations

from collections.abc import Sequence

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.hwprofiles.detect import Detection
from quantroof.hwprofiles.simulated import simulated_devices
from quantroof.hwprofiles.types import Device


def select(detection: Detection, texts: Sequence[str]) -> tuple[Device, ...]:
    """Devices named by `cpu`, `cuda`, `cuda:1`, a UUID or its beginning, `all`, or `sim:PROFILE[*COUNT]`
    (`hwprofiles.simulated` has the rest of it).

    Without any, every GPU, or the CPU where there is none. `cuda` is every GPU. Raises UsageError for what
    does not exist, with what does, and EnvironmentMissing if a GPU is asked for and none is here.
    """
    if not texts:
        return detection.gpus or _cpus(detection)
    chosen = [device for text in texts for device in _named(detection, text.strip())]
    hosts = dict.fromkeys(device.host or "this machine" for device in chosen)
    if len(hosts) > 1:
        what = f"devices of {len(hosts)} hosts cannot share a run"
        raise UsageError(what, where="--device", hint=f"one run for each of {', '.join(hosts)}")
    return tuple({device.id: device for device in chosen}.values())


def _named(detection: Detection, text: str) -> tuple[Device, ...]:
    if text.startswith("sim:"):
        return simulated_devices(text.removeprefix("sim:"))
    if text == "all":
        return detection.devices
    if text in {"cpu", "cpu:0"}:
        return _cpus(detection)
    if text == "cuda" or text.startswith("cuda:"):
        return _cuda(detection, text)
    return (_by_uuid(detection, text),)


def _cpus(detection: Detection) -> tuple[Device, ...]:
    return tuple(device for device in detection.devices if device.kind == "cpu")


def _cuda(detection: Detection, text: str) -> tuple[Device, ...]:
    if not detection.gpus:
        why = detection.remarks[0] if detection.remarks else "no NVIDIA GPU is here"
        raise EnvironmentMissing(why, where=f"--device {text}", hint="--device cpu measures this CPU")
    found = detection.gpus if text == "cuda" else tuple(d for d in detection.gpus if d.id == text)
    if not found:
        raise _unknown(detection, text)
    return found


def _by_uuid(detection: Detection, text: str) -> Device:
    wanted = text.lower()
    matches = [
        device
        for device in detection.gpus
        if device.uuid is not None and wanted and _short(device.uuid).startswith(_short(wanted))
    ]
    if len(matches) > 1:
        raise UsageError(f"'{text}' is the beginning of {len(matches)} UUIDs", where="--device")
    if not matches:
        raise _unknown(detection, text)
    return matches[0]


def _short(uuid: str) -> str:
    return uuid.lower().removeprefix("gpu-")


def _unknown(detection: Detection, text: str) -> UsageError:
    here = ", ".join(device.id for device in detection.devices)
    return UsageError(f"no device '{text}'", where="--device", hint=f"here: {here}, all, or sim:PROFILE")
