"""Clean audio as training data: sources, preparation, pairs on the fly."""
