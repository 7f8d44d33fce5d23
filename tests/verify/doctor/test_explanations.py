"""What is said of a mistake fits the op and says where to read more."""

import re
from pathlib import Path

import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from attention_from_scratch.verify.doctor.mistakes import EXPLANATIONS, OF_A_LOSS

PACKAGE = Path(ops.__file__).parent.parent


@pytest.mark.parametrize("words", [*EXPLANATIONS.values(), *OF_A_LOSS.values()])
def test_every_explanation_says_where_to_read_more(words):
    files = re.findall(r"ops/\w+\.py", words)
    assert files or re.search(r"notebook 2, section [1-9]", words)
    assert all((PACKAGE / file).exists() for file in files)


def test_what_a_wrong_sign_is_depends_on_the_op():
    def reversed_tanh(x):
        output, back = ops.tanh(x)
        return output, lambda d: -back(d)

    def reversed_entropy(logits, targets):
        output, back = ops.cross_entropy(logits, targets)
        return output, lambda d=1.0: -back(d)

    assert "onehot" not in str(diagnose(reversed_tanh, ops.tanh))
    assert "onehot" in str(diagnose(reversed_entropy, ops.cross_entropy))
