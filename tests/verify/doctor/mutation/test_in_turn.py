"""Two mistakes in different parts of one gradient are told by what each of them settles."""

import inspect

from attention_from_scratch.verify import diagnose
from tests.verify.doctor import readers
from tests.verify.doctor.mutation.test_derivation import GATES


def changed(function, *changes):
    """The function with several texts changed."""
    text = inspect.getsource(function)
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    space = dict(vars(inspect.getmodule(function)))
    exec(text, space)
    return space[function.__name__]


NO_N = ("(h - n) * z * (1 - z)", "h * z * (1 - z)")
NO_SLOPE = ("d_n * a_h[:, 2 * size :] * r * (1 - r)", "d_n * a_h[:, 2 * size :] * (1 - r)")


def test_two_gates_that_are_wrong_are_both_told():
    text = str(diagnose(changed(readers.simple_gru, NO_N, NO_SLOPE), readers.simple_gru, *GATES))
    assert "without the term `n`" in text
    assert "without the factor `r`" in text
    assert "no known mistake" not in text


def test_one_that_is_wrong_is_told_alone():
    text = str(diagnose(changed(readers.simple_gru, NO_N), readers.simple_gru, *GATES))
    assert "without the term `n`" in text
    assert "without the factor `r`" not in text
