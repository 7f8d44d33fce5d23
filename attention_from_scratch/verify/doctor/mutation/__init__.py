"""The doctor's own hypotheses: wrong gradients derived from the reference, not known by heart.

The source of the reference is changed by machine, a line at a time, and run at the probes. Where a
change gives what the op says, the line is what the op got wrong. In the order of reading:

- `source`: a function's text, and code made of it;
- `twin`: a private copy of the reference and all it calls, in which one function is exchanged;
- `places` and `operators`: where a line can be changed, and into what (`expressions`, `calls` and
  `statements` have the ways, `templates` what they are written with);
- `names`: which names hold values of like shape;
- `mutants`: changed references, run for their gradients or for their output;
- `matching`: which hypotheses say what the op says, at every probe;
- `slopes`, `tape` and `edges`: the forward pass written down step by step, and what comes of it
  where a step back is left out or wrong;
- `terms`: combinations of terms that the reference knows;
- `pairs`: two mistakes at once;
- `parting`: which of several that fit it is;
- `forward`: the same for an output that differs;
- `derivation`: all of that in turn, as time allows.
"""
