"""Associative recall: pairs of a key and a value, then keys, each of whose values is wanted."""
