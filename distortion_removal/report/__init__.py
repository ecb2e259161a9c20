"""From scores to what people look at: tables and plots."""
