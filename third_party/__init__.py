"""Adapters to reference implementations; none of their code is copied."""
