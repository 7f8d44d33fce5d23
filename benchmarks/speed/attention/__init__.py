"""Causal attention alone, forward and backward, at every length."""
