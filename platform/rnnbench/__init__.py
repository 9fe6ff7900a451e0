"""rnnbench: which recurrent network, with what settings, how sure, at what budget."""

__version__ = "0.1.0"
