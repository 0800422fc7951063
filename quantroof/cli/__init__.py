"""The command line.

Parsing, exit codes and progress; one file per command in `commands`.
"""

__all__ = [
    "burn_in",
    "commands",
    "gate",
    "library_checks",
    "machine_check",
    "main",
    "options",
    "output",
    "progress",
    "quality",
    "quality_options",
    "selection",
    "self_test",
]
