"""Derivatives of NumPy's functions of one or two numbers: of the inputs and the output."""

import numpy as np

# For a ufunc: the derivative by each input, a function of the inputs and, last, the output.
SLOPES = {
    "add": (lambda a, b, y: 1.0, lambda a, b, y: 1.0),
    "subtract": (lambda a, b, y: 1.0, lambda a, b, y: -1.0),
    "multiply": (lambda a, b, y: b, lambda a, b, y: a),
    "divide": (lambda a, b, y: 1 / b, lambda a, b, y: -y / b),
    "power": (lambda a, b, y: b * a ** (b - 1), lambda a, b, y: y * np.log(a)),
    "maximum": (lambda a, b, y: 1.0 * (a > b), lambda a, b, y: 1.0 * (b > a)),
    "minimum": (lambda a, b, y: 1.0 * (a < b), lambda a, b, y: 1.0 * (b < a)),
    "logaddexp": (lambda a, b, y: np.exp(a - y), lambda a, b, y: np.exp(b - y)),
    "negative": (lambda x, y: -1.0,),
    "positive": (lambda x, y: 1.0,),
    "exp": (lambda x, y: y,),
    "expm1": (lambda x, y: y + 1,),
    "log": (lambda x, y: 1 / x,),
    "log1p": (lambda x, y: 1 / (1 + x),),
    "sqrt": (lambda x, y: 0.5 / y,),
    "square": (lambda x, y: 2 * x,),
    "reciprocal": (lambda x, y: -y * y,),
    "tanh": (lambda x, y: 1 - y * y,),
    "sinh": (lambda x, y: np.cosh(x),),
    "cosh": (lambda x, y: np.sinh(x),),
    "sin": (lambda x, y: np.cos(x),),
    "cos": (lambda x, y: -np.sin(x),),
    "arctan": (lambda x, y: 1 / (1 + x * x),),
    "absolute": (lambda x, y: np.sign(x),),
    "rint": (lambda x, y: 0.0,),
    "sign": (lambda x, y: 0.0,),
    "floor": (lambda x, y: 0.0,),
}
