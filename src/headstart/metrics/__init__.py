"""Scores with a margin, intervals, and calibration."""
