"""One trial: its plain description and key, the loop that trains it, its checkpoint and its outcome."""
