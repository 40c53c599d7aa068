"""How the versions of each ecosystem are ordered."""
