"""The errors of this room."""


class StructureError(ValueError):
    """A structure cannot become a tensor cloud; the message says which residue or atom, and what to do."""
