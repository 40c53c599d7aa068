"""Files, JSON, text and threads: what the format stands on."""
