"""Model cards: README.md of a checkpoint, rendered from config.json and the rows of the benchmark stored there."""
