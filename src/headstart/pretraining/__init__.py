"""Nets from data without labels: one loop, and an objective for each kind of data."""
