"""A step as `fit` takes it when nobody names anything, against the best of `training_step`."""
