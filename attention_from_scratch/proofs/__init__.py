"""Our own networks as cases for `verify`: by our own derivative, and said again in each framework.

- cases: losses and blocks with parameters, ids and targets
- transformer, pipeline, recurrent: what they compute, said once for every framework, without a
  backward pass
- checks: all of it as tables; what the command `verify` prints
"""
