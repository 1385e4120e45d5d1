"""Attacks on the commands, the model file and the calculator: what was tried, what held, what was lost."""
