"""Jump models at work."""
