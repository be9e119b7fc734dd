"""Closed forms on cached features: exact, deterministic, milliseconds."""
