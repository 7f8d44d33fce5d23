"""Numbers that leave the numbers: they are let go on quietly, and end a training by name."""

# What overflows shows in the loss, the parameters or the scores, and that is an error with a name.
SILENT = {"over": "ignore", "invalid": "ignore"}
