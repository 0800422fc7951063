"""The Python interface: what `import quantroof as qr` offers.

The package's `__init__.py` lists the public names; each is imported when it is first used. Records go in and
out as the types of the rooms below.
"""

__all__ = ["advice", "roofs", "runs", "sniff", "timing"]
