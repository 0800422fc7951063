"""plotly.js from the installed plotly package, and compressed payloads, for a page that works offline."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from quantroof.errors import EnvironmentMissing


@dataclass(frozen=True, slots=True)
class Bundle:
    """The plotly.js library: its text, and the hash by which the page's content policy admits it."""

    text: bytes
    sha256: str
    version: str

    @property
    def packed(self) -> str:
        """gzip + base64, for a data block of the page."""
        return pack(self.text)

    @property
    def file_name(self) -> str:
        """Name of the library as a file beside the report."""
        return f"plotly-{self.version}-{base64.b64decode(self.sha256)[:4].hex()}.min.js"


@lru_cache(maxsize=1)
def plotly_bundle() -> Bundle:
    """Read plotly.js from the plotly package; EnvironmentMissing if that has none."""
    from plotly.offline import get_plotlyjs_version

    source = resources.files("plotly") / "package_data" / "plotly.min.js"
    try:
        text = source.read_bytes()
    except OSError:
        hint = "pip install --force-reinstall plotly"
        raise EnvironmentMissing("the plotly package has no plotly.min.js", hint=hint) from None
    return Bundle(text, sha256(text), str(get_plotlyjs_version()))


def sha256(text: bytes) -> str:
    """base64 SHA-256, as a content policy writes it."""
    return base64.b64encode(hashlib.sha256(text).digest()).decode()


@lru_cache(maxsize=4)
def pack(data: bytes, level: int = 9) -> str:
    """gzip + base64; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(data, level, mtime=0)).decode()


def pack_json(value: Any) -> str:
    """Compact JSON, packed. NaN and infinity are refused: JSON has no words for them.

    Level 6 takes half the time of 9 and gives 1 % more bytes.
    """
    return pack(json.dumps(value, separators=(",", ":"), allow_nan=False).encode(), 6)


def asset(*names: str) -> str:
    """The text of asset files of this room, joined in order."""
    folder = resources.files("quantroof.reports.html") / "assets"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
