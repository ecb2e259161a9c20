"""Straightforward PyTorch ports of our networks, to measure against."""
