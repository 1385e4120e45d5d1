"""The error of this room."""


class AnalysisError(ValueError):
    """An analysis is impossible; the message says which file or quantity is the reason, and what to do."""
