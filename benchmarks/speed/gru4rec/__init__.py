"""A step of GRU4Rec, and what the fast ops gain for every encoder of the pipeline."""
