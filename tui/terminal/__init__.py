"""The terminal: look, keys, painting."""
