"""What each known mistake is, in words, and where to read more."""

EXPLANATIONS = {
    "time_cut": "the gradient of a step is not carried on to the step before it "
    "(ops/recurrent.py, through_time)",
    "forget_path_cut": "the path of the state beside the gates is wrong: d_c = f d_c' in an LSTM, "
    "z d_h' in a GRU (ops/recurrent.py)",
    "gate_path_cut": "the gradient that the gates send back to the state before is missing "
    "(ops/recurrent.py)",
    "reset_gate_forgotten": "the reset gate is missing from the gradient of what it multiplies "
    "(ops/recurrent.py, gru)",
    "gates_wrong_order": "the gates stand in another order: r, z, n and i, f, g, o here and in "
    "PyTorch; z, r, n in Keras' GRU (ops/recurrent.py)",
    "scale_missing": "the factor 1/sqrt(d) is missing: it belongs to the scores, so d_query and "
    "d_key carry it too (ops/attention.py)",
    "scale_twice": "the factor 1/sqrt(d) is applied twice (ops/attention.py)",
    "scale_on_query_only": "d_query has the factor 1/sqrt(d), d_key lacks it (ops/attention.py)",
    "scale_on_key_only": "d_key has the factor 1/sqrt(d), d_query lacks it (ops/attention.py)",
    "scale_of_all_heads": "the scale is 1/sqrt(D) of the whole width D: a head is d = D / H wide, "
    "and its scores carry 1/sqrt(d) (ops/attention.py)",
    "scale_ignored": "a scale that is given is not used backward: 1/sqrt(d) stands in its place "
    "(ops/attention.py)",
    "heads_not_added": "of all heads one alone reaches the gradient of the input: what they send "
    "back is added up, not overwritten (ops/attention.py)",
    "query_key_swapped": "the gradients of query and key stand in each other's place "
    "(ops/attention.py)",
    "key_value_swapped": "the gradients of key and value stand in each other's place "
    "(ops/attention.py)",
    "transpose_missing": "a matrix is used untransposed: for C = A B, d_A = d_C B^T and "
    "d_B = A^T d_C (notebook 2, section 5)",
    "softmax_elementwise": "the softmax is treated as elementwise, p (1 - p): only the diagonal of "
    "its Jacobian is used (ops/softmax.py; notebook 2, section 2)",
    "softmax_row_sum_missing": "the row-sum term of the softmax is missing: p (d - sum(d p)), "
    "not p d (ops/softmax.py; notebook 2, section 6)",
    "softmax_p_missing": "a factor p is missing or in the wrong place, before the sum over the row "
    "or in it: it is p (d - sum(d p)) of a softmax, d - p sum(d) of a log-softmax (ops/softmax.py)",
    "softmax_twice": "the gradient goes through a softmax once more: p - onehot is that of the "
    "logits already (ops/losses.py; notebook 2, section 3)",
    "only_target": "only the entry of the target gets a gradient: p - onehot has one for every "
    "class, as the softmax divides by all of them (ops/losses.py; notebook 2, section 3)",
    "sum_wrong_axis": "a sum or mean runs over the wrong axis, or one stands in the other's place "
    "(ops/softmax.py, ops/layer_norm.py)",
    "not_divided": "the mean is not divided by the number of positions that count (ops/losses.py)",
    "divided_by_batch": "the mean is divided by the batch size only, not by all positions that "
    "count (ops/losses.py)",
    "counts_ignored": "what does not count in the mean is counted, in the divisor or with a "
    "gradient of its own: ignored positions, or such of a small weight (ops/losses.py)",
    "position_weights_ignored": "position_weights are ignored backward (ops/losses.py)",
    "wrong_sign": "a sign is wrong (notebook 2, section 6)",
    "overwrites_repeats": "the gradient of a repeated id is overwritten, not added up: use "
    "np.add.at (ops/embedding.py; notebook 2, section 7)",
    "padding_gets_gradient": "the row of the padding id gets a gradient (ops/embedding.py)",
    "bias_not_summed": "the gradient of a parameter is not summed over batch and positions, all of "
    "which share it (ops/linear.py)",
    "broadcast_not_summed": "the gradient of an input that was broadcast is not summed over the "
    "axes along which it was repeated (ops/contract.py, unbroadcast)",
    "norm_mean_missing": "the term mean(d_z) of the layer norm is missing: x moves the mean too "
    "(ops/layer_norm.py)",
    "norm_variance_missing": "the term z mean(d_z z) of the layer norm is missing: x moves the "
    "variance too (ops/layer_norm.py)",
    "norm_statistics_detached": "mean and deviation are taken for constants, d_z / deviation: x "
    "moves both, so the terms mean(d_z) and z mean(d_z z) are missing (ops/layer_norm.py)",
    "norm_weight_forgotten": "the weight is missing on the way to x: d_z = d_output weight "
    "(ops/layer_norm.py)",
    "norm_weight_of_other_input": "d_weight is the sum of d_output z, with the normalised z: not "
    "with x, nor with the output (ops/layer_norm.py)",
    "weight_bias_swapped": "the gradients of weight and bias stand in each other's place "
    "(ops/layer_norm.py)",
    "norm_unbiased": "biased and unbiased variance are confused: layer norm divides by D, not by "
    "D - 1 (ops/layer_norm.py)",
    "dropout_not_applied": "the dropout mask is not applied backward (ops/dropout.py)",
    "dropout_inverted": "the dropout mask is applied inverted: gradient passes where the input was "
    "dropped (ops/dropout.py)",
    "dropout_not_rescaled": "the gradient of what dropout kept is not divided by 1 - p "
    "(ops/dropout.py)",
    "dropout_weights_confused": "weights before and after dropout are confused on the way back "
    "through the softmax: p is what the softmax gave, the gradient of p what dropout let through "
    "(ops/attention.py)",
    "relu_leaks": "the mask of relu is wrong: gradient passes where x was off, or not where it was "
    "on (ops/activations.py)",
    "gelu_forms_mixed": "the slope is that of another form of gelu: exact, tanh and the quick form "
    "x sigmoid(1.702 x) are mixed (ops/activations.py)",
    "slope_wrong": "the slope belongs to another function (ops/activations.py)",
    "mask_ignored": "the mask is ignored backward: gradient reaches hidden positions "
    "(ops/softmax.py)",
    "heads_wrong_order": "heads are split or merged in the wrong order: (L, H, d) and (H, L, d) "
    "take a transpose, not a reshape (ops/attention.py)",
    "smoothing_ignored": "label smoothing is ignored backward (ops/losses.py)",
    "value_not_weighted": "the gradient of the values is not weighted: d_value = weights^T "
    "d_output (ops/attention.py)",
    "d_output_ignored": "d_output does not enter: what comes from above has to multiply the op's "
    "own slope, also that of a loss (ops/__init__.py)",
    "zero_gradient": "no gradient arrives: it is all 0 (notebook 2, section 1)",
    "constant_factor": "the gradient is off by a factor: {factor} (notebook 2, section 1)",
}

# Those that leave open which sum, slope or matrix it is: a line of the reference says it as well.
OPEN_ENDED = {
    "bias_not_summed",
    "counts_ignored",
    "mask_ignored",
    "padding_gets_gradient",
    "relu_leaks",
    "slope_wrong",
    "softmax_p_missing",
    "sum_wrong_axis",
    "transpose_missing",
    "value_not_weighted",
}

# Those that say what is wrong, but not how: a formula of the op says it as well.
IN_SHORT = {
    "constant_factor",
    "divided_by_batch",
    "norm_unbiased",
    "norm_weight_of_other_input",
    "not_divided",
    "overwrites_repeats",
    "position_weights_ignored",
    "smoothing_ignored",
    "softmax_elementwise",
    "wrong_sign",
}

OF_A_LOSS = {
    "softmax_row_sum_missing": "p is missing from p - onehot: only the target is pulled, and no "
    "class is pushed down by its p (ops/losses.py; notebook 2, section 3)",
    "softmax_elementwise": "p - onehot is multiplied by p (1 - p), a slope that it has in it "
    "already (ops/losses.py; notebook 2, section 3)",
    "sum_wrong_axis": "the mean runs over the classes as well, it is divided by their number too "
    "(ops/losses.py)",
    "wrong_sign": "a sign is wrong: the gradient is prediction minus truth, p - onehot "
    "(ops/losses.py; notebook 2, section 3)",
    "slope_wrong": "the slope belongs to another function: sigmoid and logarithm together leave "
    "s - t (ops/losses.py)",
}


OF_A_BINARY_LOSS = OF_A_LOSS | {
    "wrong_sign": "a sign is wrong: d_logits is s - t, and d_targets is -x (ops/losses.py)",
    "softmax_elementwise": EXPLANATIONS["softmax_elementwise"],
}


def explanation(mistake: str, op: str | None) -> str:
    """What the mistake is in this op, and where to read more."""
    of_op = OF_A_LOSS if "cross_entropy" in (op or "") else {}
    of_op = OF_A_BINARY_LOSS if "binary" in (op or "") else of_op
    return of_op.get(mistake, EXPLANATIONS[mistake])
