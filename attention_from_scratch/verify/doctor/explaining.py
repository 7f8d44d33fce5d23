"""Which known mistakes explain wrong gradients: those whose numbers the op gives at every visit."""

from dataclasses import replace

from attention_from_scratch.verify.doctor.diagnosis import Finding
from attention_from_scratch.verify.doctor.factors import SCALE, constant_factor, ratio_at
from attention_from_scratch.verify.doctor.mistakes import MISTAKES, generic_mistakes
from attention_from_scratch.verify.doctor.visits import wrong_at

SIMPLE = ("2", "0.5", "3", "0.333333", "4", "0.25")  # factors that may come with a mistake

# Exchanges: what is said of the one gradient has to hold of the other.
OF_TWO = ("query_key_swapped", "key_value_swapped", "weight_bias_swapped")

# These speak of the other gradient too: it has to be right.
BESIDE_A_RIGHT_ONE = {
    "scale_on_query_only": {"d_query"},
    "scale_on_key_only": {"d_key"},
}

# These are whole by themselves: a multiple of them is something else.
WITHOUT_FACTOR = {"wrong_sign", "zero_gradient"}

# These are told of numbers as they are, beside what they come from.
BESIDE_ANY = {"constant_factor", "wrong_sign", "zero_gradient"}


def explain(reference, visits, wrong) -> tuple[list[Finding], tuple[str, ...]]:
    """The findings, and the arguments that nothing explains.

    First what explains all gradients together. If there is no such thing there may be more than one
    mistake: then each argument by itself.
    """
    forms = [forms_of(reference, visit.probe) if wrong_at([visit]) else {} for visit in visits]
    together = explanations(visits, forms, wrong, names=None)
    if together:
        return [Finding(name, tuple(wrong), factor, reference) for name, factor in together], ()
    arguments: dict[tuple, list[str]] = {}
    for name in wrong:
        for key in explanations(visits, forms, [name], names=[name]):
            arguments.setdefault(key, []).append(name)
    arguments = without_lesser(without_causes_of_zero(arguments))
    findings = [
        Finding(mistake, tuple(names), factor, reference)
        for (mistake, factor), names in arguments.items()
    ]
    findings.sort(key=lambda finding: -len(finding.arguments))
    explained = {name for names in arguments.values() for name in names}
    return findings, tuple(name for name in wrong if name not in explained)


def without_causes_of_zero(arguments: dict[tuple, list[str]]) -> dict[tuple, list[str]]:
    """Of a gradient that is 0 no cause is told, unless it shows in a gradient that is not."""
    zero = set(arguments.get(("zero_gradient", None), ()))
    return {
        key: names
        for key, names in arguments.items()
        if key[0] == "zero_gradient" or not zero.issuperset(names)
    }


def without_lesser(arguments: dict[tuple, list[str]]) -> dict[tuple, list[str]]:
    """Of the mistakes that explain a gradient only those that explain most of the others."""
    causes = [set(names) for (mistake, _), names in arguments.items() if mistake not in BESIDE_ANY]
    return {
        key: names
        for key, names in arguments.items()
        if key[0] in BESIDE_ANY or not any(set(names) < cause for cause in causes)
    }


def explanations(visits, forms, wrong, names) -> list[tuple[str, str | None]]:
    """Every (mistake, factor) that explains the gradients of these names, or of all for None.

    Where no mistake does, two may have met in one gradient: a wrong sign and another.
    """
    mistakes = agreeing(visits, forms, names)
    factor = constant_factor(visits, wrong)
    is_odd = factor is not None and ("square root" in factor or SCALE in factor)
    if not mistakes and (factor is None or is_odd):
        mistakes = agreeing(visits, [negated(of_visit) for of_visit in forms], names)
        mistakes = list(dict.fromkeys(["wrong_sign", *mistakes])) if mistakes else []
    if not mistakes and factor is None:
        return times_a_factor(visits, forms, wrong)
    found = [(mistake, None) for mistake in mistakes]
    return found if factor is None or (found and is_odd) else [*found, ("constant_factor", factor)]


def times_a_factor(visits, forms, names) -> list[tuple[str, str | None]]:
    """A mistake and a factor that together explain all these gradients, where there are such."""
    telling = [
        (visit, of_visit)
        for visit, of_visit in zip(visits, forms, strict=True)
        if wrong_at([visit]) and any(name in visit.probe.right for name in names)
    ]
    known = dict.fromkeys(mistake for _, of_visit in telling for mistake in of_visit)
    for mistake in [m for m in known if m not in WITHOUT_FACTOR] if len(telling) > 1 else ():
        as_right = [instead_of_right(v, f.get(mistake, ()), names) for v, f in telling]
        if None in as_right or not all(shows(as_right, telling, name) for name in names):
            continue
        factor = constant_factor(as_right, names)
        if factor is not None and (" the " in factor or factor in SIMPLE):
            return [(mistake, None), ("constant_factor", factor)]
        if factor is None and all(is_negated(visit, names) for visit in as_right):
            return [("wrong_sign", None), (mistake, None)]
    return []


def is_negated(visit, names) -> bool:
    """Whether these gradients have the other sign at a visit, as far as they are not 0."""
    ratio = ratio_at(visit, names)
    return ratio is not None and not abs(ratio + 1) > max(1e-6, visit.tolerance)


def shows(as_right, telling, name) -> bool:
    """Whether a mistake changes this gradient at any visit: of a right one nothing is said."""
    return any(
        name in visit.probe.right
        and not visit.same(new.probe.right[name], visit.probe.right[name], visit.size_of(name))
        for new, (visit, _) in zip(as_right, telling, strict=True)
    )


def instead_of_right(visit, forms, names):
    """The visit with a form of a mistake for the right thing, if that is off by a factor alone.

    A call may hide the mistake: then the right thing itself is off by the factor.
    """
    here = [name for name in names if name in visit.probe.right]
    for gradients in forms:
        changed = replace(visit, probe=replace(visit.probe, right=visit.probe.right | gradients))
        if all(name in gradients for name in here):
            ratio = ratio_at(changed, here)
            if ratio is not None and abs(ratio) > 0:
                return changed
    return None if ratio_at(visit, here) is None else visit


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
            if any(
                visit.matches(gradients, spoken_of(mistake, gradients, here, visit))
                for gradients in of_visit.get(mistake, [])
            )
        }
    return list(consistent)


def spoken_of(mistake, gradients, here, visit):
    """The gradients that a mistake says something of, beside those that are asked for."""
    if mistake in OF_TWO:
        return here | gradients.keys()
    return here | (BESIDE_A_RIGHT_ONE.get(mistake, set()) & visit.probe.right.keys())
