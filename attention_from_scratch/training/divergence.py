"""Overflow and NaN in training: NumPy warns of neither, and an error with a name ends it."""

# For np.errstate. What overflows shows in the loss, the parameters or the scores; the loop looks
# there and raises a FloatingPointError that says where.
SILENT = {"over": "ignore", "invalid": "ignore"}
