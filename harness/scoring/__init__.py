"""Scores of predictions against manual labels."""
