"""Takes distortion effects (overdrive, clipping) out of recorded music."""

__version__ = "0.1.0"
