"""Parity: whether an odd number of ones has been read; a state to be tracked, for longer than was ever trained."""
