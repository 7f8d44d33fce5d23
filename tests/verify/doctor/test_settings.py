"""It is told with which settings a gradient is wrong, where there is something to compare with."""

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from attention_from_scratch.verify.doctor.settings import in_words


def test_what_is_wrong_in_the_sum_alone_is_told_to_be_so():
    def op(x, weight, targets, *, reduction="mean", **options):
        loss, _ = ops.linear_cross_entropy(x, weight, targets, reduction=reduction, **options)
        _, back = ops.linear_cross_entropy(x, weight, targets, reduction="mean", **options)
        return loss, back

    text = str(diagnose(op, ops.linear_cross_entropy))
    assert "wrong only where `reduction='sum'`" in text
    assert "divided by the total weight, as if it were a mean" in text


def test_what_is_wrong_everywhere_has_no_such_note():
    def op(x):
        output, back = ops.relu(x)
        return output, lambda d: -back(d)

    assert "wrong only where" not in str(diagnose(op, ops.relu))


def test_each_gradient_has_its_own_setting():
    def op(query, key, value, *, mask=None, dropout_p=0.0, keep=None):
        settings = {"mask": mask, "dropout_p": dropout_p, "keep": keep}
        output, back = ops.scaled_dot_product_attention(query, key, value, **settings)
        no_mask = ops.scaled_dot_product_attention(query, key, value)[1]
        kept = ops.scaled_dot_product_attention(query, key, value, mask=mask)[1]
        return output, lambda d: (
            no_mask(d)[0] if keep is None else back(d)[0],
            back(d)[1],
            kept(d)[2],
        )

    text = str(diagnose(op, ops.scaled_dot_product_attention))
    assert "d_query: wrong only where `mask` is given" in text
    assert "d_value: wrong only where `dropout_p` is given and `keep` is given" in text


def test_a_number_that_is_right_elsewhere_with_another_value_is_no_setting():
    assert in_words("dropout_p", [0.4], [0.3, None]) == ""
    assert in_words("dropout_p", [0.4], [None, None]) == "`dropout_p=0.4`"
    assert in_words("reduction", ["sum", "sum"], ["mean", None]) == "`reduction='sum'`"
    assert in_words("mask", [None, "x"], [None]) == ""
