"""exp and log of eight numbers at once, by Cephes' reductions and polynomials."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from dlseg.crf.lattice.jit.lanes import (
    INTS,
    LANES,
    VECTOR,
    add,
    below,
    call,
    fill,
    jit,
    lanes,
    larger,
    mul,
    muladd,
    operation,
    sub,
)

LOG2E, LN2_HIGH, LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
LEAST_EXPONENT = np.float32(-60)
LOG_TERMS = np.array(
    [
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    ],
    np.float32,
)


@operation
def nearest(typing: Any, a: Any) -> Any:
    """The nearest whole numbers, halves to even."""
    return lanes(lanes), call("rint", 1)


@operation
def _power_of_two(typing: Any, a: Any) -> Any:
    """2 ** a for whole a in -126..127, by writing the exponent's bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = builder.fptosi(arguments[0], INTS)
        bits = builder.shl(builder.add(whole, ir.Constant(INTS, [127] * LANES)), ir.Constant(INTS, [23] * LANES))
        return builder.bitcast(bits, VECTOR)

    return lanes(lanes), generate


@jit
def exp(x):
    """e ** x for x <= 0, to 2e-7 of the value, and 0 below -60. Cephes' reduction and polynomial.

    Nothing smaller than e ** -60 is of use here, and numbers near the smallest there is are slow on most machines.
    """
    some = below(fill(LEAST_EXPONENT), x)
    x = larger(x, fill(LEAST_EXPONENT))
    n = nearest(mul(x, fill(LOG2E)))
    r = muladd(n, fill(-LN2_LOW), muladd(n, fill(-LN2_HIGH), x))
    p = fill(np.float32(1.9875691500e-4))
    p = muladd(p, r, fill(np.float32(1.3981999507e-3)))
    p = muladd(p, r, fill(np.float32(8.3334519073e-3)))
    p = muladd(p, r, fill(np.float32(4.1665795894e-2)))
    p = muladd(p, r, fill(np.float32(1.6666665459e-1)))
    p = muladd(p, r, fill(np.float32(5.0000001201e-1)))
    p = muladd(mul(p, r), r, add(r, fill(np.float32(1.0))))
    return mul(some, mul(p, _power_of_two(n)))


@operation
def _exponent(typing: Any, a: Any) -> Any:
    """e of a = m * 2 ** e, m in 0.5..1, for normal positive a."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.lshr(builder.bitcast(arguments[0], INTS), ir.Constant(INTS, [23] * LANES))
        return builder.sitofp(builder.sub(bits, ir.Constant(INTS, [126] * LANES)), VECTOR)

    return lanes(lanes), generate


@operation
def _mantissa(typing: Any, a: Any) -> Any:
    """m of a = m * 2 ** e, m in 0.5..1, for normal positive a."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.and_(builder.bitcast(arguments[0], INTS), ir.Constant(INTS, [0x7FFFFF] * LANES))
        return builder.bitcast(builder.or_(bits, ir.Constant(INTS, [0x3F000000] * LANES)), VECTOR)

    return lanes(lanes), generate


@jit
def log(x):
    """The natural logarithm of normal positive x, to 2e-7. Cephes' reduction and polynomial."""
    small = below(_mantissa(x), fill(np.float32(0.70710678)))
    n = sub(_exponent(x), small)
    r = sub(add(_mantissa(x), mul(small, _mantissa(x))), fill(np.float32(1)))
    p = fill(LOG_TERMS[0])
    for term in range(1, 9):
        p = muladd(p, r, fill(LOG_TERMS[term]))
    square = mul(r, r)
    p = mul(mul(p, r), square)
    p = muladd(n, fill(LN2_LOW), p)
    p = muladd(fill(np.float32(-0.5)), square, p)
    return muladd(n, fill(LN2_HIGH), add(r, p))
