"""Eight labels at once: a numba type for eight single-precision numbers in one register, and its operations.

Marginals lie pixel by pixel, each pixel's labels side by side and padded to a multiple of eight, so every inner
loop of the lattice is a few of these operations. LLVM maps them to what the machine has (AVX, SSE, NEON).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 8
VECTOR = ir.VectorType(ir.FloatType(), LANES)
INTS = ir.VectorType(ir.IntType(32), LANES)


def jit(function: Callable) -> Any:
    """Compiles without the interpreter lock, and keeps the code on disk until any file beside this one changes."""
    plain = inspect.unwrap(function)
    try:
        compiled: Any = numba.njit(plain, nogil=True, error_model="numpy", cache=True)
    except RuntimeError:  # nowhere to write: compile anew in every process
        return numba.njit(plain, nogil=True, error_model="numpy")
    # numba asks only whether a function's own file changed, but what it calls from other files is compiled into it
    kept = getattr(compiled._cache, "_cache_file", None)
    if kept is not None:
        kept._source_stamp = (kept._source_stamp, _SOURCES)
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


def operation(generator: Callable) -> Any:
    """A function of compiled code that writes its own instructions."""
    return intrinsic(generator)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), VECTOR.as_pointer())


@operation
def load(typing: Any, array: Any, offset: Any) -> Any:
    """array[offset : offset + 8] of a flat float32 array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = builder.load(_pointer(context, builder, signature.args[0], *arguments))
        value.align = 4
        return value

    return lanes(array, types.intp), generate


@operation
def store(typing: Any, array: Any, offset: Any, value: Any) -> Any:
    """array[offset : offset + 8] = value."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _pointer(context, builder, signature.args[0], *arguments[:2])).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


@operation
def item(typing: Any, array: Any, offset: Any) -> Any:
    """array[offset] of a flat array, offset >= 0: spares what indexing does for negative ones."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return context.unpack_value(builder, signature.return_type, builder.gep(data, [arguments[1]]))

    return array.dtype(array, types.intp), generate


@operation
def fill(typing: Any, number: Any) -> Any:
    """The same number eight times."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), arguments[0], ir.IntType(32)(0))
        return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), ir.Constant(INTS, [0] * LANES))

    return lanes(types.float32), generate


def _two(combine: Callable) -> Any:
    def pair(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return combine(builder, *arguments)

        return lanes(lanes, lanes), generate

    return operation(pair)


add = _two(lambda builder, a, b: builder.fadd(a, b))
sub = _two(lambda builder, a, b: builder.fsub(a, b))
mul = _two(lambda builder, a, b: builder.fmul(a, b))
div = _two(lambda builder, a, b: builder.fdiv(a, b))
larger = _two(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))


def _across(combine: Callable) -> Any:
    def all_lanes(typing: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value = arguments[0]
            for step in (4, 2, 1):
                turned = ir.Constant(INTS, [(lane + step) % LANES for lane in range(LANES)])
                value = combine(builder, value, builder.shuffle_vector(value, value, turned))
            return value

        return lanes(lanes), generate

    return operation(all_lanes)


total = _across(lambda builder, a, b: builder.fadd(a, b))
largest = _across(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))


@operation
def below(typing: Any, a: Any, b: Any) -> Any:
    """1 where a < b, else 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.uitofp(builder.fcmp_ordered("<", *arguments), VECTOR)

    return lanes(lanes, lanes), generate


@operation
def where_equal(typing: Any, a: Any, b: Any, value: Any, other: Any) -> Any:
    """value where a == b, else other."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b, value, other = arguments
        return builder.select(builder.fcmp_ordered("==", a, b), value, other)

    return lanes(lanes, lanes, lanes, lanes), generate


@operation
def first_equal(typing: Any, a: Any, b: Any) -> Any:
    """The first lane where a == b; 8 if there is none."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        equal = builder.bitcast(builder.fcmp_ordered("==", *arguments), ir.IntType(LANES))
        found = builder.zext(equal, ir.IntType(64))
        return builder.cttz(builder.or_(found, ir.IntType(64)(1 << LANES)), ir.IntType(1)(1))

    return types.int64(lanes, lanes), generate


def call(name: str, count: int) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR] * count)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v8f32"), arguments)

    return generate


@operation
def muladd(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, fused where the machine can."""
    return lanes(lanes, lanes, lanes), call("fmuladd", 3)


@operation
def size(typing: Any, a: Any) -> Any:
    """Absolute values."""
    return lanes(lanes), call("fabs", 1)


@operation
def first_lane(typing: Any, a: Any) -> Any:
    """The number in lane 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.extract_element(arguments[0], ir.IntType(32)(0))

    return types.float32(lanes), generate


@operation
def prefetch(typing: Any, array: Any, offset: Any) -> Any:
    """Asks for array[offset : offset + 8] ahead of its use."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        place = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(function, [place, whole(0), whole(3), whole(1)])  # to read, into every cache, of data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
