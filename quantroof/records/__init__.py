"""What was measured.

The records of a run file (`lines`, `run`), of quality studies and of served load, and the directories that
hold them. Storage only: rates and conclusions are derived in `quantroof.analysis`.
"""

__all__ = [
    "directory",
    "jsonl",
    "latest",
    "lines",
    "quality",
    "run",
    "served",
]
