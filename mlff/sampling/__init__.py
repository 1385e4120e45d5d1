"""Making training data: building peptides, sampling them, labelling frames, generating trajectories."""
