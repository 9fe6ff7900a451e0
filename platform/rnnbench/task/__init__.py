"""What a task is: its card, its data sets and where their files are, its LightningModule."""
