"""Inductive transfer: the target has labels."""
