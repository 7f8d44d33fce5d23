"""Calls like a caller's: other numbers, other lengths, of the same kind."""

import numpy as np

from attention_from_scratch.verify.doctor.variations import calls_like


def test_lengths_that_belong_together_are_changed_together():
    x, weight = np.ones((2, 3)), np.ones((3, 4))
    shapes = [(a.shape, b.shape) for (a, b), _ in calls_like((x, weight), {})]
    assert shapes[0] == ((2, 3), (3, 4))
    assert ((2, 5), (5, 4)) in shapes
    assert all(a[1] == b[0] for a, b in shapes)


def test_numbers_stay_of_their_kind():
    rng = np.random.default_rng(0)
    shares, ids = rng.random((3, 4)), np.array([1, 2, 2])
    params, mask = {"weight": np.zeros(4, np.float32)}, np.tri(3, dtype=bool)
    for inputs, keywords in calls_like((shares, ids, params, None), {"mask": mask, "n": 2}):
        assert inputs[0].min() >= 0
        assert inputs[0].max() <= 1
        assert set(inputs[1].tolist()) <= {1, 2}
        assert inputs[2]["weight"].dtype == np.float64  # all floats of a call alike
        assert inputs[2]["weight"].any()
        assert inputs[3] is None
        assert keywords["mask"].dtype == bool
        assert keywords["n"] == 2
