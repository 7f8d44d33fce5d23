"""The same attention as a loop, as matrices, in blocks, on threads."""
