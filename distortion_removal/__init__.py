"""Removes distortion effects (overdrive, clipping) from recorded music."""

__version__ = "0.1.0"
