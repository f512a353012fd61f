"""Eight labels at once: a numba type for eight single-precision numbers in one register, and its operations.

Marginals lie pixel by pixel, each pixel's labels side by side and padded to a multiple of eight, so that every
inner loop of the lattice is a few of these operations. LLVM maps them to what the machine has (AVX, SSE, NEON).

Why not plain loops over the labels, for LLVM to vectorise? Their length is not known when they are compiled, their
arrays may overlap, and a maximum, a sum or an exponential does not vectorise by itself. Measured with splat, blur
and update written that way, on real photographs of benchmarks/crf.py: an inference takes 1.62 times as long, its
iterations 2.0 times (medians of seven, one thread), and 3.25 times on noise, where all labels take part.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import llvmlite.binding.ffi
import numba
import numba.core.compiler_lock
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 8
VECTOR = ir.VectorType(ir.FloatType(), LANES)
BITS32, BITS64 = ir.IntType(32), ir.IntType(64)
INTEGERS = ir.VectorType(BITS32, LANES)


_locks = ExitStack()  # those that this process holds while it forks


def _hold_locks() -> None:
    """Waits until no other thread compiles: a forked process would have its locks, but nobody to release them."""
    for lock in (numba.core.compiler_lock.global_compiler_lock, getattr(llvmlite.binding.ffi.lib, "_lock", None)):
        if lock is not None:
            _locks.enter_context(lock)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_hold_locks, after_in_parent=_locks.close, after_in_child=_locks.close)


def jit(function: Callable) -> Any:
    """Compiles without the interpreter lock, and keeps the code on disk until any file beside this one changes."""
    plain = inspect.unwrap(function)
    try:
        compiled: Any = numba.njit(plain, nogil=True, error_model="numpy", cache=True)
    except RuntimeError:  # nowhere to write: compile anew in every process
        return numba.njit(plain, nogil=True, error_model="numpy")
    # numba asks only whether a function's own file changed, but what it calls from other files is compiled into it
    cached = getattr(compiled._cache, "_cache_file", None)
    if cached is not None:
        cached._source_stamp = (cached._source_stamp, _SOURCES)
    return compiled


def inlined(function: Callable) -> Any:
    """For parts of a compiled function that take arrays: written into it, so that no references are counted."""
    return numba.njit(inspect.unwrap(function), inline="always", error_model="numpy")


def _sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES = _sources()


class Lanes(types.Type):
    """Eight float32."""

    def __init__(self) -> None:
        super().__init__(name="Lanes8")


lanes = Lanes()


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """A register of the machine."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


def _operation(count: int, write: Callable, result: Any = lanes) -> Any:
    """A function of `count` vectors in compiled code; write(builder, a, …) writes its instructions."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return write(builder, *arguments)

    typed = result(*[lanes] * count), generate
    # numba wants a function with as many arguments
    return intrinsic(
        {
            1: lambda typing, a: typed,
            2: lambda typing, a, b: typed,
            3: lambda typing, a, b, c: typed,
            4: lambda typing, a, b, c, d: typed,
        }[count]
    )


def _across(combine: Callable) -> Callable:
    """All eight lanes combined, the result in every lane: three rounds of a vector with itself rotated."""

    def write(builder: Any, a: Any) -> Any:
        for step in (4, 2, 1):
            rotated = ir.Constant(INTEGERS, [(lane + step) % LANES for lane in range(LANES)])
            a = combine(builder, a, builder.shuffle_vector(a, a, rotated))
        return a

    return write


def _llvm(name: str) -> Callable:
    """One of LLVM's own functions of vectors."""

    def write(builder: Any, *arguments: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR] * len(arguments))
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v8f32"), arguments)

    return write


def _sum(builder: Any, a: Any, b: Any) -> Any:
    return builder.fadd(a, b)


def _maximum(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _equal(builder: Any, a: Any, b: Any) -> Any:
    return builder.fcmp_ordered("==", a, b)


def _all(number: int) -> Any:
    return ir.Constant(INTEGERS, [number] * LANES)


def _first_equal(builder: Any, a: Any, b: Any) -> Any:
    found = builder.zext(builder.bitcast(_equal(builder, a, b), ir.IntType(LANES)), BITS64)
    return builder.cttz(builder.or_(found, BITS64(1 << LANES)), ir.IntType(1)(1))


def _power_of_two(builder: Any, a: Any) -> Any:
    exponent = builder.add(builder.fptosi(a, INTEGERS), _all(127))
    return builder.bitcast(builder.shl(exponent, _all(23)), VECTOR)


def _exponent(builder: Any, a: Any) -> Any:
    bits = builder.lshr(builder.bitcast(a, INTEGERS), _all(23))
    return builder.sitofp(builder.sub(bits, _all(126)), VECTOR)


def _mantissa(builder: Any, a: Any) -> Any:
    bits = builder.and_(builder.bitcast(a, INTEGERS), _all(0x7FFFFF))
    return builder.bitcast(builder.or_(bits, _all(0x3F000000)), VECTOR)


add = _operation(2, _sum)
sub = _operation(2, lambda builder, a, b: builder.fsub(a, b))
mul = _operation(2, lambda builder, a, b: builder.fmul(a, b))
div = _operation(2, lambda builder, a, b: builder.fdiv(a, b))
muladd = _operation(3, _llvm("fmuladd"))  # a * b + c, fused where the machine can
absolute = _operation(1, _llvm("fabs"))
round_even = _operation(1, _llvm("rint"))  # the nearest whole numbers, halves to even
maximum = _operation(2, _maximum)
less = _operation(2, lambda builder, a, b: builder.uitofp(builder.fcmp_ordered("<", a, b), VECTOR))  # 1 or 0
where_equal = _operation(4, lambda builder, a, b, c, d: builder.select(_equal(builder, a, b), c, d))
sum_all = _operation(1, _across(_sum))
max_all = _operation(1, _across(_maximum))
first_lane = _operation(1, lambda builder, a: builder.extract_element(a, BITS32(0)), types.float32)
first_equal = _operation(2, _first_equal, types.int64)  # the first lane where a == b; 8 if there is none
power_of_two = _operation(1, _power_of_two)  # 2 ** a for whole a in -126..127, by writing the exponent's bits
exponent = _operation(1, _exponent)  # e of a = m * 2 ** e, m in 0.5..1, for normal positive a
mantissa = _operation(1, _mantissa)  # m of the same


@intrinsic
def fill(typing: Any, number: Any) -> Any:
    """The same number eight times."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), arguments[0], BITS32(0))
        return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), _all(0))

    return lanes(types.float32), generate


def _address(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


@intrinsic
def load(typing: Any, array: Any, offset: Any) -> Any:
    """array[offset : offset + 8] of a flat float32 array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments)
        value = builder.load(builder.bitcast(address, VECTOR.as_pointer()))
        value.align = 4
        return value

    return lanes(array, types.intp), generate


@intrinsic
def store(typing: Any, array: Any, offset: Any, value: Any) -> Any:
    """array[offset : offset + 8] = value."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], builder.bitcast(address, VECTOR.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


@intrinsic
def item(typing: Any, array: Any, offset: Any) -> Any:
    """array[offset] of a flat array, offset >= 0: spares what indexing does for negative ones."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments)
        return context.unpack_value(builder, signature.return_type, address)

    return array.dtype(array, types.intp), generate


@intrinsic
def prefetch(typing: Any, array: Any, offset: Any) -> Any:
    """Asks for array[offset : offset + 8] ahead of its use."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, BITS32, BITS32, BITS32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        address = builder.bitcast(_address(context, builder, signature.args[0], *arguments), byte)
        builder.call(function, [address, BITS32(0), BITS32(3), BITS32(1)])  # to read, into every cache, of data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


LOG2E, LN2_HIGH, LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
LEAST_EXPONENT = np.float32(-60)
EXP_TERMS = np.array(
    [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1],
    np.float32,
)
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


@jit
def exp(x):
    """e ** x for x <= 0, to 2e-7 of the value, and 0 below -60. Cephes' reduction and polynomial.

    Nothing smaller than e ** -60 is of use here, and numbers near the smallest there is are slow on most machines.
    """
    some = less(fill(LEAST_EXPONENT), x)
    x = maximum(x, fill(LEAST_EXPONENT))
    n = round_even(mul(x, fill(LOG2E)))
    r = muladd(n, fill(-LN2_LOW), muladd(n, fill(-LN2_HIGH), x))
    p = fill(EXP_TERMS[0])
    for term in range(1, 6):
        p = muladd(p, r, fill(EXP_TERMS[term]))
    p = muladd(mul(p, r), r, add(r, fill(np.float32(1.0))))
    return mul(some, mul(p, power_of_two(n)))


@jit
def log(x):
    """The natural logarithm of normal positive x, to 2e-7. Cephes' reduction and polynomial."""
    small = less(mantissa(x), fill(np.float32(0.70710678)))
    n = sub(exponent(x), small)
    r = sub(add(mantissa(x), mul(small, mantissa(x))), fill(np.float32(1)))
    p = fill(LOG_TERMS[0])
    for term in range(1, 9):
        p = muladd(p, r, fill(LOG_TERMS[term]))
    square = mul(r, r)
    p = mul(mul(p, r), square)
    p = muladd(n, fill(LN2_LOW), p)
    p = muladd(fill(np.float32(-0.5)), square, p)
    return muladd(n, fill(LN2_HIGH), add(r, p))
