"""Screens about jobs."""
