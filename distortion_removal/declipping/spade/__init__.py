"""A-SPADE and S-SPADE: sparse frames, one iteration for both."""
