"""Finds what an invertible effect was set to, from the recording alone.

`criterion` says how likely settings are; `search` and `gauss_newton` lower it.
"""
