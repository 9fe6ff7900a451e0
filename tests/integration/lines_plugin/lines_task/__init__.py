"""A small task of another package, whose reading can be told to fail; for the tests of data commands."""
