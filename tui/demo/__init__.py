"""The demo station."""
