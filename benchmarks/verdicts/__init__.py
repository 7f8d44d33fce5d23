"""How often does a gradient checker accuse right code, and how often does it miss wrong code?

contenders      whose checkers take part, and what a checker is
flat            an op as a function of float arrays alone, as the others' checkers take it
with_torch      torch.autograd.gradcheck
with_jax        jax.test_util.check_grads
with_autograd   autograd.test_util.check_grads
measuring       random right functions and planted errors through all of them, and the counts
tables          the counts in words
page            what a reader opens, and its picture
"""
