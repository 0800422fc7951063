"""What others state about formats and GPUs, and whether it holds.

Claims from TOML files, each judged by hardware profiles, machine code, studies or runs.
"""

__all__ = [
    "accuracy",
    "checklist",
    "claim",
    "hardware",
    "reading",
    "recorded",
    "serving",
    "shipped_study",
    "speed",
]
