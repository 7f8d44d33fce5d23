"""What the article says of self-attention, measured: python -m benchmarks.claims NAME.

The article asserts; it measures nothing, and in places it contradicts itself. Each file here is one
of its claims. It offers

    ARTICLE             what the article says, and where
    measure(quick)      numbers, as a dict that goes into JSON
    tables(result)      the numbers as Markdown
    figure(result)      the numbers as a picture
    measured(result)    one sentence, its numbers taken from the result
    verdict(result)     (where there is something to settle) a paragraph

What is measured is the mathematics as it is to be read: all claims run on the plain ops.
"""

OPS = "plain"
