"""Frameworks that our ops are held against: one small file each, loaded when asked for.

Such a file has

- `VERSION`, and `as_op(function)`: turns a function of the framework's arrays into an op of ours,
  `(output, backward)`, by way of the framework's automatic differentiation;
- `CALLS`: from the name of an op of ours to the framework's own way of computing it;
- `constant(array, like)` and `transpose(matrix)`: what else it takes to say a whole network in it;
- `CANNOT`: cases, (op, note), that it has no way to compute, in words;
- `REMARKS`: where the framework defines something differently, in words.

To add an op is one entry in each table; to add a framework is one file and one line here.
"""

import importlib

FRAMEWORKS = {"torch": "torch", "jax": "jax", "keras": "keras"}  # name -> module that must be there


def load(name: str):
    """The module of one framework.

    Raises
    ------
    ValueError
        If there is no such framework here, or it is not installed.
    """
    if name not in FRAMEWORKS:
        raise ValueError(f"framework was {name!r}, but must be one of {', '.join(FRAMEWORKS)}")
    try:
        return importlib.import_module(f"attention_from_scratch.verify.frameworks.{name}")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{name} cannot be used, as {error.name} is not installed: "
            'pip install "attention_from_scratch[frameworks]"'
        ) from None
    except (ImportError, OSError) as error:  # installed, but broken
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{name} cannot be used: importing it failed with {reason!r}") from None


def require_one(output, kind: type) -> None:
    """Raise unless a function gave one array of its framework."""
    if not isinstance(output, kind):
        raise ValueError(
            f"the function returned a {type(output).__name__}, but must return one {kind.__name__}"
        )
