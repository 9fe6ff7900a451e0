"""Polyphonic music: which notes sound next."""
