"""The package as a whole: how fast it opens, what leans on what, that all is explained."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import attention_from_scratch as afs

PACKAGE = "attention_from_scratch"
FOLDER = Path(afs.__file__).parent
ROOMS = (
    "article",
    "commands",
    "data",
    "evaluation",
    "explain",
    "fast",
    "interop",
    "models",
    "networks",
    "ops",
    "plot",
    "proofs",
    "training",
    "verify",
)


def python(code):
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return run.stdout


def test_importing_the_package_imports_neither_matplotlib_nor_tqdm():
    loaded = python(f"import sys, {PACKAGE}; print(*sys.modules)").split()
    assert PACKAGE in loaded
    assert not {"matplotlib", "tqdm", "threadpoolctl"} & {name.split(".")[0] for name in loaded}


def test_importing_the_package_adds_under_a_twentieth_of_a_second_to_numpy():
    code = (
        "import numpy, time; start = time.process_time(); "  # not what others take meanwhile
        f"import {PACKAGE}; print(time.process_time() - start)"
    )
    assert min(float(python(code)) for _ in range(5)) < 0.05


def test_the_rooms_open_when_they_are_entered():
    for room in afs.__all__[1:]:
        assert getattr(afs, room) is importlib.import_module(f"{PACKAGE}.{room}")
    assert afs.SASRec is afs.models.SASRec
    assert dir(afs) == sorted(afs.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'kitchen'"):
        afs.kitchen  # noqa: B018


# --- what leans on what


def imports_of(path):
    """Modules of ours that a file imports anywhere in it, functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == PACKAGE)


def rooms_entered_by(room):
    """Rooms, and single files such as tree, that the files of a room import from."""
    files = (FOLDER / room).rglob("*.py")
    names = {name for file in files for name in imports_of(file)}
    assert PACKAGE not in names
    return {name.split(".")[1] for name in names} - {room}


# What each room may lean on, from the ground up; and the single files on which all may.
FILES = {"arguments", "files", "rows", "settings", "tree"}
BELOW = {
    "ops": set(),
    "fast": {"ops"},
    "networks": {"ops"},
    "verify": {"ops"},
    "proofs": {"networks", "ops", "verify"},
    "data": set(),
    "evaluation": set(),
    "plot": set(),
    "training": {"evaluation", "data"},
    "explain": {"ops"},
    "interop": set(),
    "models": {"networks", "ops", "fast", "training", "evaluation", "data", "explain", "interop"},
    "article": {"models", "networks", "ops", "training", "interop"},
    "commands": set(ROOMS),
}


@pytest.mark.parametrize("room", BELOW)
def test_imports_go_down_only(room):
    assert rooms_entered_by(room) <= BELOW[room] | FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_what_all_may_lean_on_leans_on_no_room(name):
    assert {of.split(".")[1] for of in imports_of(FOLDER / f"{name}.py")} <= FILES


def test_every_room_is_accounted_for():
    assert {path.parent.name for path in FOLDER.glob("*/__init__.py")} == set(BELOW) == set(ROOMS)


def test_ops_imports_numpy_and_the_standard_library_only():
    allowed = {"numpy", PACKAGE, *sys.stdlib_module_names}
    for file in (FOLDER / "ops").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {node.module.split(".")[0]}
            else:
                continue
            assert names <= allowed, file


# --- that what is private to a file stays in it


DOCUMENTED = ("_asdict", "_attributes", "_fields", "_make", "_replace")  # of named tuples and ast


def is_private(name):
    """Whether a name is for its own file: `_name`, but not `__name__`."""
    return name.startswith("_") and not name.endswith("__") and name not in DOCUMENTED


def private_names_imported_by(tree):
    """Names and modules with an underscore before them that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if any(map(is_private, name.split("."))))


def private_attributes_borrowed_by(tree):
    """Such as `module._name`: attributes that a file reads, but gives to nothing itself."""
    own, read = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            own.add(node.target.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            read[node.attr] = ast.unparse(node)
    return [text for name, text in read.items() if name not in own]


def test_a_private_name_that_is_borrowed_is_found():
    tree = ast.parse("from a.b import _c, d\nimport a._b\nfrom e import __doc__")
    assert list(private_names_imported_by(tree)) == ["a.b._c", "a._b"]
    tree = ast.parse(
        "class A:\n    _a: int\n    def _b(self):\n        self._c = x._d + self._a + self._b()"
    )
    assert private_attributes_borrowed_by(tree) == ["x._d"]


def test_no_file_uses_a_private_name_of_another():
    for file in FOLDER.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        borrowed = [*private_names_imported_by(tree), *private_attributes_borrowed_by(tree)]
        assert not borrowed, file


# --- that all of it is explained


@pytest.mark.parametrize("room", [room for room in afs.__all__ if room != "SASRec"])
def test_every_public_name_has_a_docstring(room):
    module = importlib.import_module(f"{PACKAGE}.{room}")
    assert inspect.getdoc(module)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.ismodule(thing) or not callable(thing):
            continue
        assert thing.__doc__, f"{room}.{name}"
        if inspect.isclass(thing):
            methods = inspect.getmembers(thing, inspect.isfunction)
            undocumented = [
                method
                for method, function in methods
                if not method.startswith("_") and not inspect.getdoc(function)
            ]
            assert not undocumented, f"{room}.{name}"


def test_every_file_says_what_it_is():
    for file in FOLDER.rglob("*.py"):
        assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), file
