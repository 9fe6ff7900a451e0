"""A task of another package whose models are asked with lines of text."""
