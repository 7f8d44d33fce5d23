"""A mutant asked for its output."""

from dataclasses import dataclass

import numpy as np

from attention_from_scratch.verify.doctor.other_calls import OUTPUT


@dataclass(frozen=True, eq=False)
class OutputOf:
    """A hypothesis about outputs: what a mutant gives."""

    mutant: object

    @property
    def rank(self) -> tuple:
        """That of the mutant."""
        return self.mutant.rank

    @property
    def words(self) -> str:
        """Those of the mutant."""
        return self.mutant.words

    def gradients(self, probe) -> dict:
        """The output, where a gradient is asked for."""
        return {OUTPUT: np.asarray(self.mutant.output(probe))}
