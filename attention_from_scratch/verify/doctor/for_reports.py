"""What the doctor adds to the reports of other checks that have failed: words, or none."""

from attention_from_scratch.verify.doctor.diagnosis import Diagnosis
from attention_from_scratch.verify.doctor.examination import diagnose
from attention_from_scratch.verify.doctor.mistakes import MISTAKES
from attention_from_scratch.verify.doctor.probes import op_named


def words_of_the_doctor(op, inputs, keywords) -> str:
    """Say what is wrong with an op that has the name of one of ours and gives its output.

    The same name need not mean the same op: where the output at this call is another, or ours does
    not take the call, there is nothing to say about the gradients. One of ours has only itself to
    be held against: its gradients are measured.
    """
    name = getattr(op, "__name__", "")
    if name not in MISTAKES:
        return ""
    reference = name if is_known(op) else op_named(name)
    diagnosis = attempt(op, reference, inputs, keywords)
    return "" if diagnosis is None or diagnosis.forward_differs else str(diagnosis)


def words_about(found, expected, inputs, keywords) -> str:
    """Say, of two ops that disagree, what is wrong with the one that is not an op of ours.

    Where it is ours that is wrong, which its own forward pass can tell, that is said instead.
    """
    if is_known(found):
        found, expected = expected, found
    if is_known(expected):
        of_ours = words_of_the_doctor(expected, inputs, keywords)
        return of_ours or words(found, expected, inputs, keywords)
    return words_of_the_doctor(found, inputs, keywords)


def words(op, reference, inputs, keywords) -> str:
    """Say what is wrong with an op that should be the reference; nothing if it cannot be told."""
    return str(attempt(op, reference, inputs, keywords) or "")


def attempt(op, reference, inputs, keywords) -> Diagnosis | None:
    """Diagnose for a report that has failed anyway: None where there is nothing to be said."""
    try:
        diagnosis = diagnose(op, reference, *inputs, **keywords)
    except Exception:  # whatever two ops of one name do with each other's calls
        return None
    return diagnosis if diagnosis.wrong or diagnosis.forward_differs else None


def knows(name: str) -> bool:
    """Whether there are known mistakes of an op of this name."""
    return name in MISTAKES


def is_known(op) -> bool:
    """Whether this op is itself one that the doctor knows: of `ops`, or registered."""
    name = getattr(op, "__name__", "")
    return name in MISTAKES and op is op_named(name)
