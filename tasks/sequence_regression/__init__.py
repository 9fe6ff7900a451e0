"""Sequence regression: one number for a numeric sequence of any length."""
