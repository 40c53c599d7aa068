"""Helm charts: what images one names."""
