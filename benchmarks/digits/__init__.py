"""How many digits of the functions of one number are right, ours and PyTorch's, against mpmath?

exact       what they are and what their slopes are, in mpmath; errors in units of the last place
inputs      numbers of every size, and those where something happens
contenders  ours and PyTorch's
page        JSON, table and figure
"""
