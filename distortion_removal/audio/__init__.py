"""Audio files and signals, for any use."""
