"""The self-test of a device: every path of the bench once, each failure with its traceback."""

__all__: list[str] = []
