"""The doctor's own hypotheses: wrong gradients derived from the reference, not known by heart.

The source of the reference is changed by machine, a line at a time, and run at the probes. Where a
change gives what the op says, the line is what the op got wrong. In the order of reading:

- `source`: a function's text, and code made of it;
- `twin`: a private copy of the reference and all it calls, in which one function is exchanged;
- `places` and `operators`: where a line can be changed, and into what; `expressions`, `calls`,
  `backward_calls`, `orders` and `statements` have the ways, `templates` what they write with;
- `names`: which names hold values of like shape;
- `choices` and `mutants`: changed references, run for their gradients or (`outputs`) their output;
- `matching`: which hypotheses say what the op says, at every probe;
- `constants`: numbers of the reference that are others in the op;
- `slopes`, `tape` and `edges`: the forward pass written down step by step, and what comes of it
  where a step back is left out or wrong;
- `parts_of_sums`: sums on the way back of which a part is missing;
- `terms`: combinations of terms that the reference knows;
- `in_turn` and `pairs`: two mistakes at once;
- `parting`: which of several that fit it is;
- `repair`: which change of the op itself would make it right;
- `forward`: the same for an output that differs;
- `derivation`: all of that in turn, as time allows.
"""
