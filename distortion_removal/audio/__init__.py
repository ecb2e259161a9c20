"""Audio files and signals, whatever they are used for."""
