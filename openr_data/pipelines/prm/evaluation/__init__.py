"""How good a process reward model is, by the protocols of the field."""
