"""Templates of Slurm jobs."""
