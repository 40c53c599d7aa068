"""Screens about accounts and log-ins."""
