"""What `evaluate` is made of, a subject a file."""
