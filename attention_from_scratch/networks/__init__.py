"""Networks: pure functions on ops and a tree of parameters, forward and backward by hand.

Read in this order: transformer (the blocks), sasrec (like the paper's figure), item_table, stages,
decoders and pipeline (the article's family), factorisation.
"""
