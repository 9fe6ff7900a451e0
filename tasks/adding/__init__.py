"""The adding problem: remember two marked numbers and give their sum."""
