"""What does the doctor say of mistakes that it has not seen? Cases, and what is true of each.

`cases/` was written without sight of the doctor, by somebody who knew the ops and their contract
alone, and the doctor without sight of the cases; each is in a style of its own, as people write.
benchmarks/results/exam.md has what was said at the first run, and grades given by hand.
"""
