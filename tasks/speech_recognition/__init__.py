"""Speech recognition: sound to text by CTC."""
