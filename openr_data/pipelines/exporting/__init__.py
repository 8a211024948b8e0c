"""Export: the labelled solutions of a run in a layout of the field, as a data set that `load_dataset` opens."""
