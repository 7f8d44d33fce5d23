"""Our networks in the terms of a framework: its table of ops, and what is made of them."""

from attention_from_scratch.proofs.pipeline import pipeline_calls
from attention_from_scratch.proofs.recurrent import recurrent_calls
from attention_from_scratch.proofs.transformer import transformer_calls


def calls_of(module) -> dict:
    """A framework's table: from the name of an op or network of ours to the same in the framework.

    Parameters
    ----------
    module : one of `verify.frameworks`
    """
    calls = dict(module.CALLS)
    for said in (transformer_calls, pipeline_calls, recurrent_calls):
        calls |= said(calls, module.constant, module.transpose)
    return calls
