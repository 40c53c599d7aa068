"""Home, help, guides, more."""
