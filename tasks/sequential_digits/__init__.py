"""Sequential digits: an image read as a sequence, classified after the last step."""
