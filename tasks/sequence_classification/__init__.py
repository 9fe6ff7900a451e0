"""Sequence classification: one class for a numeric sequence of any length."""
