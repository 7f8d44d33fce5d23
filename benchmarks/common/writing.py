"""JSON, Markdown, and settings in words."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attention_from_scratch.files import replace_file


def write_text(path: Path, text: str) -> None:
    """Write a text, all of it or nothing."""
    replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def read_json(path: Path):
    """What a file of JSON holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value) -> None:
    """A result that people may read: a line for every entry, all digits."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def as_read(value):
    """What is read again when this has been written as JSON: tuples are lists then."""
    return json.loads(json.dumps(value))


def as_json(result: dict) -> str:
    """A line for each entry, and for each row of a list of rows; six digits of each number."""
    lines = []
    for name, value in rounded(result).items():
        text = json.dumps(value, allow_nan=False)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value)
            text = f"[\n  {rows}\n ]"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def rounded(value):
    """The value with six significant digits of every number in it."""
    if isinstance(value, dict):
        return {name: rounded(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(header)} |", "|" + " --- |" * len(header)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def in_words(settings: Mapping) -> str:
    """Settings as a page has them: max_len 200, dim 64, plain ops."""
    return ", ".join(map(one_in_words, settings, settings.values()))


def one_in_words(name: str, value) -> str:
    """A setting with its name; those of a part in brackets."""
    if name == "ops":
        return f"{value} ops"
    return f"{name} ({in_words(value)})" if isinstance(value, Mapping) else f"{name} {value}"


def recipe_lines(settings: Mapping) -> list[str]:
    """A line for each setting that is there, those of a model or of a training in words."""
    return [
        f"- {name}: {in_words(value) if isinstance(value, Mapping) else value}"
        for name, value in settings.items()
        if value is not None
    ]
