"""What is wrong with this backward pass? Named in words, by trying mistakes on numbers.

The op is run on calls at which mistakes show. A known mistake is a formula for a wrong gradient,
named only if its numbers are those of the op at every call; what no known mistake explains is
derived from the reference. In the order in which a diagnosis comes about:

- `probes` and `variations`: for every op, the calls at which mistakes show;
- `measured`: a reference where there is none;
- `visits` and `repeats`: op and reference, run on one call, and again;
- `mistakes/`: what known mistakes would have computed there, a file an op family;
- `forms/`: what a forward pass that is usual elsewhere would have given;
- `explaining` and `factors`: which of them, or which factor, explains what the op says;
- `formulas/`: the right gradients in named terms and parts, and which others give the wrong one;
- `numbers` and `other_calls`: what can be said without any source;
- `settings`: with which settings alone a gradient is wrong;
- `recognising`: which op of ours an op computes, where no reference is given;
- `mutation/`: the reference, changed line by line until it gives what the op gives, or the op
  until it is right;
- `examination`: `diagnose`, which is all of that in turn;
- `diagnosis`: what was found, as data and as text;
- `registering`: ops of a reader's own, with probes and mistakes of theirs;
- `for_reports`: what the doctor adds to the reports of other checks.
"""

from attention_from_scratch.verify.doctor.diagnosis import Diagnosis, Finding
from attention_from_scratch.verify.doctor.examination import diagnose, diagnose_call
from attention_from_scratch.verify.doctor.for_reports import (
    knows,
    words,
    words_about,
    words_of_the_doctor,
)
from attention_from_scratch.verify.doctor.mistakes import Probe
from attention_from_scratch.verify.doctor.registering import register

__all__ = [
    "Diagnosis",
    "Finding",
    "Probe",
    "diagnose",
    "diagnose_call",
    "knows",
    "register",
    "words",
    "words_about",
    "words_of_the_doctor",
]
