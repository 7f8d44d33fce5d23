import pytest

from attention_from_scratch.commands.demo import demo
from attention_from_scratch.models import SASRec


def test_the_demo_prints_the_worked_example_and_writes_its_pictures(tmp_path, capsys):
    demo(tmp_path, users=200, epochs=2, progress=False)
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines()]
    assert ["0.200", "0.300", "0.200", "0.200", "0.100"] in rows
    assert "answer: item 2" in output
    assert "NDCG@10" in output
    pictures = sorted(tmp_path.iterdir())
    assert len(pictures) == 3
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert str(picture) in output


def test_ctrl_c_ends_the_demo(tmp_path, monkeypatch):
    def interrupted(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 20:  # an epoch has 2 x 8 shards
            raise KeyboardInterrupt
        return loss(self, *arguments, **keywords)

    calls, loss = [], SASRec.loss
    monkeypatch.setattr(SASRec, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path, users=200, epochs=3, progress=False)
    assert not list(tmp_path.iterdir())
