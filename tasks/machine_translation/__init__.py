"""Machine translation: a sentence in one language, its translation in another."""
