"""Screens about bundles that were carried in."""
