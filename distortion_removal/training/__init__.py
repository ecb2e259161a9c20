"""The training loop: steps, losses, checkpoints, logs."""
