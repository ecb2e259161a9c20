"""What the sparse declippers of `baselines` are made of."""
