"""The bottom layer: errors, canonical JSON and keys, seeds, atomic files, parameters, logging. No torch."""
