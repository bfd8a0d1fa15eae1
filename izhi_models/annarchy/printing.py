"""Prints the expressions of ANNarchy's parser as C++, in place of its own conversion.

In single precision ANNarchy replaces numbers in finished text, where `0.0` is also a part of
`0.01`, and cuts them off after eight decimals. In both precisions it calls `pow` for whole
exponents, which takes many times longer than to multiply and rules out vector instructions. This
module runs only in the process of `generate`.
"""

from __future__ import annotations

import importlib
from typing import Any

from izhi_models.annarchy.program import Precision

_LARGEST_EXPONENT = 16


def replace_printer(precision: Precision) -> None:
    """Make ANNarchy print expressions by SymPy's own rules for a precision.

    Parameters
    ----------
    precision : {'double', 'float'}
    """
    from ANNarchy.parser.Equation import Equation
    from ANNarchy.parser.Equation import sp as sympy

    types = importlib.import_module("sympy.codegen.ast")
    printer_class = importlib.import_module("sympy.printing.c").C99CodePrinter
    real = types.float32 if precision == "float" else types.float64

    def print_code(expr: Any, user_functions: Any = None, **_: Any) -> str:
        printer = printer_class(
            {
                "type_aliases": {types.real: real},
                "strict": False,
                "user_functions": user_functions or {},
            }
        )
        print_power = printer._print_Pow

        def print_whole_power(power: Any) -> str:
            base, exponent = power.as_base_exp()
            if not exponent.is_Integer or not 2 <= abs(exponent) <= _LARGEST_EXPONENT:
                return str(print_power(power))
            text = f"whole_power<{abs(exponent)}>({printer.doprint(base)})"
            return text if exponent > 0 else f"(1/{text})"

        printer._print_Pow = print_whole_power
        return str(printer.doprint(expr))

    Equation.c_code = lambda self, expr: print_code(expr, self.user_functions)
    sympy.ccode = print_code
