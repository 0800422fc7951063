"""How a user's own function is measured: arguments, correctness before and after, and the timed call."""

__all__ = ["data", "measure", "output", "recheck"]
