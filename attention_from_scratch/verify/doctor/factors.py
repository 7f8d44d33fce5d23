"""Whether wrong gradients are the right ones times a factor, and how to say which factor."""

import numpy as np

SCALE = "the scale of the scores"
SQUARE = f"the square of {SCALE}"


def constant_factor(visits, names) -> str | None:
    """The factor by which all these gradients differ from the right ones, if there is one.

    A number, or a number times a size of the input or its inverse, as long as it is the same at
    all probes.
    """
    ratios = [ratio_at(visit, names) for visit in visits]
    if None in ratios:
        return None
    near = max(1e-6, *(visit.tolerance for visit in visits))
    wrong = [i for i, ratio in enumerate(ratios) if abs(ratio - 1) > near]  # no NaN among them
    if not wrong or sum(entries(visits[i].probe, names) for i in wrong) == 1:
        return None  # a single number is always a multiple of another
    found = np.array([ratios[i] for i in wrong])
    sizes = [sizes_of(visits[i].probe) for i in wrong]
    if np.ptp(found) <= near * abs(found[0]):
        named = np.abs(found[0] - [-1, 0]).min() < near  # a wrong sign, a zero gradient
        return None if named else f"{found[0]:.6g}"
    for name in sizes[0]:
        size = np.array([of_probe.get(name, np.nan) for of_probe in sizes], float)
        for word, scaled in (("times", found / size), ("divided by", found * size)):
            if np.ptp(scaled) <= near * abs(scaled[0]):
                number = "" if abs(scaled[0] - 1) < near else f"{scaled[0]:.6g} "
                inverted = name == SQUARE and word == "divided by"
                why = ", as where it is divided by the scale, not multiplied" if inverted else ""
                return f"{number}{word} {name}{why}"
    return None


def entries(probe, names) -> int:
    """Count the numbers that the gradients of these names have at a probe."""
    return sum(probe.right[name].size for name in names if name in probe.right)


def sizes_of(probe) -> dict[str, float]:
    """Numbers of a call that a gradient may wrongly be multiplied or divided by."""
    first = next(np.asarray(x) for x in probe.inputs if not isinstance(x, dict))
    sizes = {}
    if first.ndim:
        sizes["the batch size"] = first.shape[0]
        sizes["the length of the last axis"] = first.shape[-1]
        sizes["the number of positions"] = max(first.size // max(first.shape[-1], 1), 1)
    if "n_heads" in probe.keywords:
        sizes["the number of heads"] = probe.keywords["n_heads"]
    sizes |= scale_of(probe)
    if SCALE in sizes:
        sizes[SQUARE] = sizes[SCALE] ** 2
        query, key = [x for x in probe.inputs if isinstance(x, np.ndarray)][:2]
        sizes |= {"the number of queries": query.shape[-2], "the number of keys": key.shape[-2]}
    roots = {f"the square root of {n}": s**0.5 for n, s in sizes.items() if SCALE not in n}
    return sizes | roots


def scale_of(probe) -> dict[str, float]:
    """The scale of an attention, where there are gradients of queries and of keys of one width."""
    arrays = [x for x in probe.inputs if isinstance(x, np.ndarray)]
    told = {name.split(".")[0] for name in probe.right}
    if not told & {"d_query", "d_q", "d_Q"} or len(arrays) < 2:
        return {}
    width, other = (x.shape[-1] for x in arrays[:2])
    given = probe.keywords.get("scale")
    width /= probe.keywords.get("n_heads", 1)
    scale = width**-0.5 if given is None else given
    return {SCALE: scale} if arrays[0].shape[-1] == other else {}


def ratio_at(visit, names) -> float | None:
    """The ratio found / right at one visit: NaN where all is 0, None where there is none."""
    ratios = []
    for name in (n for n in names if n in visit.probe.right):
        right, like, found = visit.probe.right[name], visit.size_of(name), visit.found.get(name)
        if np.shape(found) != right.shape:
            return None
        power = float((right * right).sum())
        if power <= 1e-16 * float((like * like).sum()):
            if not visit.same(found, 0 * right, like):
                return None  # no multiple of 0
            continue
        ratio = float((found * right).sum()) / power
        if not np.isfinite(ratio) or not visit.same(found, ratio * right, like):
            return None
        ratios.append(ratio)
    if not ratios:
        return float("nan")
    near = max(1e-6, visit.tolerance)
    return ratios[0] if np.ptp(ratios) <= near * abs(ratios[0]) else None
