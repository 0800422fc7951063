"""Times of links between GPUs as ceilings of a run."""

from __future__ import annotations

from quantroof.records.lines import Ceiling, Method, Status, Timing

_SPREAD = 0.06  # what collections of one GPU differ by


def reduce_name(gpus: int) -> str:
    """The name of an all-reduce among the first GPUs of a node."""
    return "all_reduce/" + "+".join(f"cuda:{index}" for index in range(gpus))


def link_ceiling(
    name: str, kernel: str, carried: int, seconds: float, *, status: Status, method: Method
) -> Ceiling:
    """One transfer; `carried` are the bytes that one link carries in one direction."""
    return Ceiling(
        device="cuda:0",
        quantity="link",
        name=name,
        kernel=kernel,
        status=status,
        bytes_moved=carried,
        timing=Timing(
            samples_ns=(seconds * 1e9,),
            calls_per_sample=1,
            cache="cold",
            method=method,
            stopped_by="max_samples",
            copies=1,
            rotated_bytes=0,
            spread=_SPREAD,
        ),
    )
