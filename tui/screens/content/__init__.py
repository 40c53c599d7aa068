"""Screens about repositories and artifacts."""
