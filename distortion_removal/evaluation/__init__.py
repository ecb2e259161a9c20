"""Every test excerpt × level × method, scored and stored as it goes."""
