"""What runs rnnbench on more than one machine, shipped as data."""
