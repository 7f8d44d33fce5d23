"""An epoch of training on real histories."""
