"""Applying networks and declippers to recordings of any length."""
