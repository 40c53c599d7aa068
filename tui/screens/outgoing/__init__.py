"""Screens about bundles that go out."""
