"""Commands that carry bundles by wire."""
