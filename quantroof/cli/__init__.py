"""The command line.

Parsing, exit codes and progress; one file per command in `commands`.
"""

__all__ = [
    "advise_check",
    "burn_in",
    "call_options",
    "commands",
    "gate",
    "groups",
    "library_checks",
    "machine_check",
    "main",
    "measuring",
    "newest",
    "options",
    "output",
    "progress",
    "prolog",
    "quality",
    "quality_options",
    "renamed",
    "selection",
    "self_test",
    "streams",
]
