"""What a run of random functions consisted of."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch.tree import leaves
from tests.verify.random_functions.function import Function
from tests.verify.random_functions.generator import Judged
from tests.verify.random_functions.plants import Plant


@dataclass
class Shares:
    """Counts of functions by property and by family, and of plants by kind."""

    n_functions: int = 0
    properties: Counter = field(default_factory=Counter)
    families: Counter = field(default_factory=Counter)
    plants: Counter = field(default_factory=Counter)
    sizes: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)

    def count(self, function: Function, judged: Judged, planted: Plant) -> None:
        self.n_functions += 1
        self.families.update({step.family for step in function.steps})
        self.plants.update([kind_of(planted.description)])
        self.worst.append(judged.worst)
        zeros = [r == 0 for r in leaves(judged.exact.gradient)]
        floats = [leaf for _, leaf in function.placed(function.inputs) if leaf.dtype.kind == "f"]
        self.sizes += [float(np.max(np.abs(leaf), initial=0)) for leaf in floats]
        self.properties.update(
            {
                function.d_output.dtype.name: True,
                "analytic": function.analytic,
                "with a kink": any(leaf.any() for leaf in leaves(judged.exact.kinks)),
                "with entries put at a corner": "at" in function.corners,
                "with entries put close to a corner": "close" in function.corners,
                "with a true zero": any(leaf.any() for leaf in zeros),
                "with a leaf that is all zero": any(leaf.all() for leaf in zeros),
                "with a tree as an input": any(isinstance(x, dict) for x in function.inputs),
                "with integer inputs": any(
                    leaf.dtype.kind == "i" for _, leaf in function.placed(function.inputs)
                ),
                "with one array at two positions": len({id(leaf) for leaf in floats}) < len(floats),
                "with a value used twice": value_used_twice(function),
                "with settings": bool(function.keywords),
                "of one number": function.d_output.ndim == 0,
            }
        )

    def table(self) -> str:
        """Lines of text: properties, sizes of the inputs, families, plants."""
        share = lambda counts: "\n".join(
            f"  {count / self.n_functions:6.1%}  {name}" for name, count in counts.most_common()
        )
        quantiles = np.quantile(self.sizes, [0, 0.1, 0.5, 0.9, 1])
        worst = np.quantile(self.worst, [0.5, 0.9, 0.99, 1])
        return "\n".join(
            [
                f"{self.n_functions} functions:",
                share(self.properties),
                "largest entry of an input (least, 10 %, half, 90 %, most): "
                + ", ".join(f"{q:.2g}" for q in quantiles),
                "distance from the truth in floors (half, 90 %, 99 %, most): "
                + ", ".join(f"{q:.2g}" for q in worst),
                "families:",
                share(self.families),
                "planted errors:",
                share(self.plants),
            ]
        )


def value_used_twice(function: Function) -> bool:
    uses = Counter(slot for step in function.steps for slot in step.arguments)
    return max(uses.values()) > 1


def kind_of(description: str) -> str:
    """The description of a planted error without its place, entries and factors."""
    words = description.split(": ", 1)[1].split()
    return " ".join(word for word in words if not any(c.isdigit() for c in word))
