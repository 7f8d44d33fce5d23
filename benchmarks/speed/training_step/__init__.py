"""One step of training, at the shape of the paper's MovieLens-1M."""
