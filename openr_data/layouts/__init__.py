"""How the field spells labelled solutions: one file per layout, a reading and a writing of plain rows. Opens no files."""
