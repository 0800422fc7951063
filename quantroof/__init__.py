"""quantroof: how close every number format comes to the roofline of your GPU.

>>> import quantroof as qr
>>> h100 = qr.roofline("h100-sxm5-80gb")
>>> h100.bound(flops=2 * 16 * 8192 * 8192, bytes=8192 * 8192 * 2)
'memory'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantroof.api.advice import advise as advise
    from quantroof.api.roofs import Roofline as Roofline
    from quantroof.api.roofs import roofline as roofline
    from quantroof.api.runs import LoadedRun as LoadedRun
    from quantroof.api.runs import compare as compare
    from quantroof.api.runs import load as load
    from quantroof.api.runs import report as report
    from quantroof.api.sniff import sniff as sniff
    from quantroof.api.timing import Timed as Timed
    from quantroof.api.timing import measure as measure

__version__ = "0.1.0"

_PUBLIC = {
    "LoadedRun": "runs",
    "Roofline": "roofs",
    "Timed": "timing",
    "advise": "advice",
    "compare": "runs",
    "load": "runs",
    "measure": "timing",
    "report": "runs",
    "roofline": "roofs",
    "sniff": "sniff",
}
"""Each public name with the module of `quantroof.api` that is imported when it is first used."""

__all__ = [
    "LoadedRun",
    "Roofline",
    "Timed",
    "advise",
    "compare",
    "load",
    "measure",
    "report",
    "roofline",
    "sniff",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'quantroof' has no attribute {name!r}")
    value = getattr(import_module(f"quantroof.api.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
