"""Other forms of an op: forward passes that are usual elsewhere, or that are usual mistakes.

Each is a function of a probe that gives an output, with words for it. One that is not another form
at a probe gives the right output there.
"""

from collections.abc import Iterator
from functools import partial

from attention_from_scratch.verify.doctor.forms import activations, attention, layers, recurrent
from attention_from_scratch.verify.doctor.forms.form import Form
from attention_from_scratch.verify.doctor.forms.losses import Forms, of_classes, of_yes_and_no


def forms_of(op: str | None, probes: list) -> Iterator[Form]:
    """The (words, function of a probe) of every other form of an op of `ops`, by its name."""
    return FORMS[op](probes) if op in FORMS else iter(())


FORMS = {
    "attention_weights": attention.attention_forms,
    "scaled_dot_product_attention": attention.attention_of_values_forms,
    "multi_head_attention": attention.many_heads_forms,
    "rnn": partial(recurrent.recurrent_forms, recurrent.rnn_step, recurrent.OF_RNN, 1),
    "gru": partial(recurrent.recurrent_forms, recurrent.gru_step, recurrent.OF_GRU, 3),
    "lstm": partial(recurrent.recurrent_forms, recurrent.lstm_step, recurrent.OF_LSTM, 4),
    "cross_entropy": lambda probes: Forms(of_classes)(probes),
    "linear_cross_entropy": lambda probes: Forms(of_classes)(probes),
    "binary_cross_entropy_with_logits": lambda probes: Forms(of_yes_and_no)(probes),
    "relu": partial(activations.forms_of, activations.RELU),
    "sigmoid": partial(activations.forms_of, activations.SIGMOID),
    "tanh": partial(activations.forms_of, activations.TANH),
    "gelu": activations.gelu_forms,
    "dropout": activations.dropout_forms,
    "softmax": layers.softmax_forms,
    "log_softmax": layers.log_softmax_forms,
    "layer_norm": layers.layer_norm_forms,
    "linear": layers.linear_forms,
    "embedding": layers.embedding_forms,
}
