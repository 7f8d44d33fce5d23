"""Networks: pure functions on ops and a tree of parameters, forward and backward by hand.

Read in this order: transformer (the blocks), events and targets (what goes in, and what comes out),
sasrec (like the paper's figure); then item_table, stages, decoders and pipeline (the article's
family), factorisation, and bidirectional. What they start from stands in initial.
"""
