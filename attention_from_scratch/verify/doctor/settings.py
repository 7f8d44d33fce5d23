"""With which settings of a call a gradient is wrong, where it is right with all others."""

ENOUGH = 2  # so many calls at which it is right have to be there to compare with


def notes_of_settings(visits, names) -> list[str]:
    """For the wrong gradients of these names: the settings with which alone they are wrong."""
    said: dict[str, list[str]] = {}
    for name in names:
        if words := only_with(visits, name):
            said.setdefault(words, []).append(name)
    if len(said) == 1 and len(*said.values()) == len(names):
        return [f"wrong only where {words}" for words in said]
    return [f"{', '.join(those)}: wrong only where {words}" for words, those in said.items()]


def only_with(visits, name) -> str:
    """The settings that all calls with this gradient wrong have, and none with it right."""
    own = [visit for visit in visits if name in visit.probe.right]
    wrong = [visit.probe.keywords for visit in own if not visit.right_at(name)]
    right = [visit.probe.keywords for visit in own if visit.right_at(name)]
    if not wrong or len(right) < ENOUGH:
        return ""
    told = (in_words(k, [w.get(k) for w in wrong], [r.get(k) for r in right]) for k in wrong[0])
    return " and ".join(words for words in told if words)


def in_words(keyword, values, others) -> str:
    """What the values of a keyword have in common that the others have not; nothing if none."""
    if any(value is None for value in values):
        return ""
    plain = all(isinstance(value, str | bool | int | float) for value in values)
    one = plain and len(set(values)) == 1
    if all(other is None for other in others):
        return f"`{keyword}={values[0]!r}`" if one else f"`{keyword}` is given"
    if one and isinstance(values[0], str | bool) and values[0] not in others:
        return f"`{keyword}={values[0]!r}`"
    return ""
