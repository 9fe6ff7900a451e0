"""The cells' entries, family by family. No torch."""
