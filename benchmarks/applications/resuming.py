"""Results that are there are kept, if they are of what is asked for."""

import json
from pathlib import Path


def check_settings(path: Path, settings: dict) -> None:
    """Raise if a result that is there was made in another way."""
    found = json.loads(path.read_text("utf-8")).get("settings")
    if found != json.loads(json.dumps(settings)):
        raise ValueError(f"{path} was made with other settings: remove it, or give another --out")
