"""From recordings to array_records."""
