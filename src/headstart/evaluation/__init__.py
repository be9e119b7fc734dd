"""Folds, intervals, the verdict (a claim) and the delivery (an action)."""
