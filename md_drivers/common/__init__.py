"""What all drivers share: opening models, run folders and records, trajectory files, figures, display."""
