"""What is said of many numbers: quartiles, mean and spread, the slope on logarithmic axes."""

from collections.abc import Sequence

import numpy as np


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, first and third quartile."""
    low, median, high = np.quantile(np.asarray(values, float), [0.25, 0.5, 0.75])
    return float(median), float(low), float(high)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The exponent b of y = a x^b, by least squares on log axes."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def ranged(values: Sequence[float], digits: str = ".3g") -> str:
    """Median and quartiles in words: 1.2 (1.1 to 1.4)."""
    median, low, high = (f"{value:{digits}}" for value in quartiles(values))
    return f"{median} ({low} to {high})"


def mean_and_spread(values: Sequence[float], digits: str = ".3f") -> str:
    """Mean and standard deviation over seeds: 1.20 ± 0.10; of one seed just its value."""
    if len(values) == 1:
        return f"{values[0]:{digits}}"
    return f"{np.mean(values):{digits}} ± {np.std(values, ddof=1):{digits}}"
