import errno
import subprocess
import sys

import numpy as np
import pytest

from attention_from_scratch.plot import attention_heatmap, save

SIGNATURES = {
    "png": b"\x89PNG",
    "svg": b"<?xml",
    "pdf": b"%PDF",
    "jpg": b"\xff\xd8",
    "webp": b"RIFF",
}


@pytest.fixture(scope="module")
def figure():
    return attention_heatmap(np.eye(2))


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_save_writes_one_file(figure, tmp_path, suffix):
    path = tmp_path / f"attention.{suffix}"
    path.write_text("an old picture")
    assert save(figure, str(path)) == path
    assert path.read_bytes().startswith(SIGNATURES[suffix])
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_picture_and_no_litter(figure, tmp_path, monkeypatch):
    def fail(path, **options):
        path.write_text("half a pic")
        raise OSError(errno.ENOSPC, "disk full", str(path))

    monkeypatch.setattr(figure, "savefig", fail)
    path = tmp_path / "attention.png"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full") as raised:
        save(figure, path)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_errors(figure, tmp_path):
    with pytest.raises(ValueError, match=r"but there is no folder '.*nowhere'"):
        save(figure, tmp_path / "nowhere" / "attention.png")
    for name in ("attention.docx", "attention", "attention.pgf", "attention.raw"):
        with pytest.raises(ValueError, match=r"must end in one of \.png, \.svg, .*, \.webp$"):
            save(figure, tmp_path / name)


def test_a_figure_displays_itself(figure):
    assert figure._repr_png_().startswith(SIGNATURES["png"])


def test_pyplot_is_never_imported():
    code = "import sys, attention_from_scratch.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
