"""Sweep files, ready to run: `rnnbench sweep lstm` finds lstm.yaml here from anywhere."""
