"""quantroof: how near every number format comes to the roof of your GPU."""

__version__ = "0.1.0"
