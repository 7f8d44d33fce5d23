"""What the doctor found, as data and as text."""

from dataclasses import dataclass, field

from attention_from_scratch.verify.doctor.mistakes.explanations import explanation


@dataclass(frozen=True)
class Finding:
    """A mistake that explains the gradients of these arguments of an op at every probe."""

    mistake: str
    arguments: tuple[str, ...]
    factor: str | None = None
    op: str | None = ""

    def __str__(self) -> str:
        words = explanation(self.mistake, self.op).format(factor=self.factor)
        return f"{self.mistake} ({', '.join(self.arguments)}): {words}"


@dataclass(frozen=True)
class Derived:
    """What would give the wrong gradients of these arguments, in words of the doctor's own."""

    arguments: tuple[str, ...]
    words: str

    def __str__(self) -> str:
        return f"{', '.join(self.arguments)}: {self.words}"


@dataclass
class Diagnosis:
    """What the doctor found; prints as text.

    Attributes
    ----------
    op : the name of the op
    wrong : the arguments whose gradients are wrong
    findings : known mistakes
        Empty when nothing is wrong, and when no known mistake matches. Several are explanations
        that all fit, or mistakes that come together.
    derived : what would give the rest
    unexplained : the arguments of which neither says anything
    forward_differs : whether the output is another, which is looked at before all gradients
    extents : how large the difference is, and where
    notes : what there is to know beside
    """

    op: str
    wrong: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    derived: list[Derived] = field(default_factory=list)
    unexplained: tuple[str, ...] = ()
    forward_differs: bool = False
    probes: int = 0
    extents: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def mistakes(self) -> set[str]:
        """The names of the mistakes."""
        return {finding.mistake for finding in self.findings}

    def __str__(self) -> str:
        if self.forward_differs:
            head = f"{self.op}: the forward pass differs from the reference; look there first"
        elif self.wrong:
            head = f"{self.op}: wrong gradient of {', '.join(self.wrong)}"
        else:
            head = f"{self.op}: nothing is wrong at {self.probes} probes"
        lines = [*self.findings, *self.derived]
        if self.unexplained:
            lines.append(f"{', '.join(self.unexplained)}: no known mistake matches")
        return "\n  ".join(map(str, [head, *lines, *self.extents, *self.notes]))

    __repr__ = __str__
