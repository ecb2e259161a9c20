"""Errors, files, devices and logging, for all of the package."""
