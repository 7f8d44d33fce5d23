"""Frameworks that our ops are held against: one small file each, loaded when asked for.

Such a file has

- `VERSION`, and `as_op(function)`: turns a function of the framework's arrays into an op of ours,
  `(output, backward)`, by way of the framework's automatic differentiation; where the framework can
  differentiate twice, the op has an attribute `derivative`, an op that gives its gradients;
- `CALLS`: from the name of an op of ours to the framework's own way of computing it;
- `constant(array, like)` and `transpose(matrix)`: what else it takes to say a whole network in it;
- `CANNOT`: cases, (op, note), that it has no way to compute, in words;
- `REMARKS`: where the framework defines something differently, in words.

To add an op is one entry in each table; to add a framework is one file and one line here. From
outside of this package it is `add(name, module)`, or an entry point of the group `GROUP`, which
the command line finds as well.
"""

import importlib
from importlib.metadata import entry_points
from types import ModuleType

FRAMEWORKS = {"torch": "torch", "jax": "jax", "keras": "keras"}  # name -> module that must be there

ADDED: dict[str, ModuleType] = {}
GROUP = "attention_from_scratch.frameworks"
PARTS = ("VERSION", "as_op", "CALLS", "constant", "transpose", "CANNOT", "REMARKS")


def add(name: str, module: ModuleType) -> None:
    """Let a framework that is not among ours be asked for by name.

    Parameters
    ----------
    name : str
        As in `as_op(function, name)`, `load(name)` and `verify --framework NAME`.
    module
        With what such a file has (see above); tables may be empty.

    Raises
    ------
    ValueError
        When the name is one of ours, or the module lacks a part.
    """
    if name in FRAMEWORKS and name not in ADDED:
        raise ValueError(f"name was {name!r}, but must not be one of {', '.join(FRAMEWORKS)}")
    missing = [part for part in PARTS if not hasattr(module, part)]
    if missing:
        raise ValueError(f"module has no {', '.join(missing)}, but must have {', '.join(PARTS)}")
    FRAMEWORKS[name], ADDED[name] = getattr(module, "__name__", name), module


def load(name: str):
    """The module of one framework.

    Raises
    ------
    ValueError
        If there is no such framework here, or it is not installed.
    """
    for point in entry_points(group=GROUP, name=name):
        if name not in FRAMEWORKS:
            add(name, point.load())
    if name in ADDED:
        return ADDED[name]
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


def all_outputs(output, kind: type) -> list:
    """The outputs of a function, one array of its framework or a tuple of them; or an error."""
    outputs = list(output) if isinstance(output, tuple | list) else [output]
    for one in outputs:
        if not isinstance(one, kind):
            raise ValueError(
                f"the function returned a {type(one).__name__}, but must return one or several "
                f"{kind.__name__}"
            )
    return outputs


def as_given(output, arrays: list):
    """Arrays in the form that the function gave its outputs in: one alone, or a tuple."""
    return tuple(arrays) if isinstance(output, tuple | list) else arrays[0]


def spread_out(d_outputs: tuple) -> tuple:
    """What backward was given, one by one: `backward(d_1, d_2)`, `backward((d_1, d_2))` or 1."""
    if len(d_outputs) == 1 and isinstance(d_outputs[0], tuple | list):
        return tuple(d_outputs[0])
    return d_outputs or (1.0,)
