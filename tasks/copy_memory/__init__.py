"""Copy memory: ten digits, a long wait, and the digits again."""
