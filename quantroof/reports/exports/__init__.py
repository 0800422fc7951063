"""Formats a run can be exported to: one module each, all with `write(runs, target)`."""
