"""Which known mistakes explain wrong gradients: those whose numbers the op gives at every visit."""

from attention_from_scratch.verify.doctor.diagnosis import Finding
from attention_from_scratch.verify.doctor.factors import constant_factor
from attention_from_scratch.verify.doctor.mistakes import MISTAKES, generic_mistakes


def explain(reference, visits, wrong) -> tuple[list[Finding], tuple[str, ...]]:
    """The findings, and the arguments that nothing explains.

    First what explains all gradients together. If there is no such thing there may be more than one
    mistake: then each argument by itself.
    """
    forms = [forms_of(reference, visit.probe) for visit in visits]
    together = explanations(visits, forms, wrong, names=None)
    if together:
        return [Finding(name, tuple(wrong), factor, reference) for name, factor in together], ()
    arguments: dict[tuple, list[str]] = {}
    for name in wrong:
        for key in explanations(visits, forms, [name], names=[name]):
            arguments.setdefault(key, []).append(name)
    findings = [
        Finding(mistake, tuple(names), factor, reference)
        for (mistake, factor), names in arguments.items()
    ]
    findings.sort(key=lambda finding: -len(finding.arguments))
    explained = {name for names in arguments.values() for name in names}
    return findings, tuple(name for name in wrong if name not in explained)


def explanations(visits, forms, wrong, names) -> list[tuple[str, str | None]]:
    """Every (mistake, factor) that explains the gradients of these names, or of all for None.

    Where no mistake does, two may have met in one gradient: a wrong sign and another.
    """
    mistakes = agreeing(visits, forms, names)
    factor = constant_factor(visits, wrong)
    if not mistakes and factor is None:
        mistakes = agreeing(visits, [negated(of_visit) for of_visit in forms], names)
        mistakes = list(dict.fromkeys(["wrong_sign", *mistakes])) if mistakes else []
    found = [(mistake, None) for mistake in mistakes]
    return found if factor is None else [*found, ("constant_factor", factor)]


def negated(forms) -> dict[str, list[dict]]:
    """Give every form of each mistake the other sign."""
    return {
        mistake: [{name: -g for name, g in gradients.items()} for gradients in of_mistake]
        for mistake, of_mistake in forms.items()
    }


def forms_of(reference, probe) -> dict[str, list[dict]]:
    """Collect the wrong gradients that each mistake would give at a probe, in all its forms."""
    forms: dict[str, list[dict]] = {}
    probe = probe.in_float64()
    known = [MISTAKES[reference]] if reference in MISTAKES else []
    for mistakes in (*known, generic_mistakes):
        for mistake, gradients in mistakes(probe):
            forms.setdefault(mistake, []).append(gradients)
    return forms


def agreeing(visits, forms, names) -> list[str]:
    """The mistakes that agree with all visits, at the gradients of these names (None: at all).

    Wherever the op is wrong, a form of the mistake has to be what it says. Where it is right the
    mistake may be hidden by the call (no id repeats, the other form of gelu was asked for).
    """
    consistent = dict.fromkeys(mistake for of_visit in forms for mistake in of_visit)
    for visit, of_visit in zip(visits, forms, strict=True):
        here = visit.probe.right.keys() | visit.found.keys()
        here = here if names is None else here.intersection(names)
        if all(visit.right_at(name) for name in here & visit.probe.right.keys()):
            continue
        consistent = {
            mistake: None
            for mistake in consistent
            if any(visit.matches(gradients, here) for gradients in of_visit.get(mistake, []))
        }
    return list(consistent)
