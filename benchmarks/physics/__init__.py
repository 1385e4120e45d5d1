"""Long physics runs with the shipped checkpoints."""
