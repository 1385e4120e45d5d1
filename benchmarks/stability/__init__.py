"""Long simulations of peptides: does energy stay, do bonds hold."""
