"""Keyword spotting: which word a short sound is."""
