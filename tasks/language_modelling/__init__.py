"""Language modelling: what comes next in a text, by characters, words or subwords."""
