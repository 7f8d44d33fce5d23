"""How fast is it, against PyTorch and JAX on the same machine? One command a question.

    python -m benchmarks.speed training_step

needs the `frameworks` extra. Each contender runs in a process of its own, with the same allocator
settings, and they take turns; what is compared is the time on the clock, pair by pair.

A question is a folder of its name. In it `question` says what is asked, and offers

    TITLE                   of the page
    measure(quick, data)    seconds of everybody, as a dict that goes into JSON; data: a folder
    tables(result)          the seconds as Markdown
    figure(result)          the seconds as a picture

and `contenders` has who takes part: functions that prepare and return (run, about).
"""
