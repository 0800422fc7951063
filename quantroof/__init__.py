"""quantroof: how close every number format comes to the roofline of your GPU."""

__version__ = "0.1.0"
