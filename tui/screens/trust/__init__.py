"""Screens about keys, signing and verification."""
