"""Calls of any function: what a user writes about a function, and how it becomes cases. Imports no torch."""

__all__ = ["arguments", "arithmetic", "axes", "call", "functions", "toml"]
