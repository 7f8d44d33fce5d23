"""An LSTM, forward and backward, of every contender."""

from benchmarks.speed.ours import drawn, in_parts, numpy_on, pool_of

SEQUENCES, STEPS, UNITS = 128, 50, 64


def ours(*, threads, ops="fast"):
    """Half of the sequences on each thread."""
    from attention_from_scratch.models.trained import OPS

    lstm = OPS[ops].lstm
    x, d_output = drawn(SEQUENCES, STEPS, UNITS, n=2)
    weight, hidden = 0.1 * drawn(UNITS, 4 * UNITS, n=2)
    bias, hidden_bias = 0.1 * drawn(4 * UNITS, n=2)
    params = {
        "input": {"weight": weight, "bias": bias},
        "hidden": {"weight": hidden, "bias": hidden_bias},
    }

    parallel, stack = pool_of(threads)
    parts = in_parts((x, d_output), threads)

    def forward_backward(part):
        _, backward = lstm(params, part[0])
        backward(part[1])

    def run(stack=stack):
        list(parallel(forward_backward, parts))

    return run, numpy_on(threads)


def torch(*, threads):
    """torch.nn.LSTM."""
    import torch

    torch.set_num_threads(threads)
    x, d_output = map(torch.tensor, drawn(SEQUENCES, STEPS, UNITS, n=2))
    x.requires_grad_()
    layer = torch.nn.LSTM(UNITS, UNITS, batch_first=True)
    inputs = [x, *layer.parameters()]

    def run():
        output, _ = layer(x)
        torch.autograd.grad(output, inputs, d_output)

    return run, f"PyTorch {torch.__version__}"
