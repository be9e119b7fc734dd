"""Strategies of transfer. One method, one file: a function that returns its Plan, and one line in the catalog."""
