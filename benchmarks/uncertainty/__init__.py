"""How well predicted uncertainties know the errors."""
