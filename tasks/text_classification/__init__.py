"""Text classification: a label for a text of words, subwords or characters."""
