"""How fast is it, against PyTorch and JAX on the same machine? One command a question.

    python -m benchmarks.speed training_step

needs the `frameworks` extra. Each contender runs in a process of its own, with the same allocator
settings, and they take turns; what is compared is the time on the clock, pair by pair.
"""
