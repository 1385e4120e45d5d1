"""Speed of the exported models: ``python -m benchmarks.speed`` from the repository root."""
