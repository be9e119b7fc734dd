"""Gradient descent and closed forms: the phases of a plan, carried out."""
