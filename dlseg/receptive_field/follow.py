"""Follow what every tensor sees while a network runs: one rule per torch function, any control flow between."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dlseg.atrous.window import Window, pair
from dlseg.receptive_field.axis import Axis, union

Field = tuple[Axis, Axis]

POINTWISE = {
    "add",
    "add_",
    "sub",
    "sub_",
    "mul",
    "mul_",
    "div",
    "div_",
    "neg",
    "abs",
    "exp",
    "log",
    "sqrt",
    "square",
    "pow",
    "clamp",
    "clamp_",
    "maximum",
    "minimum",
    "relu",
    "relu_",
    "relu6",
    "leaky_relu",
    "prelu",
    "elu",
    "celu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "sigmoid",
    "tanh",
    "softplus",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "threshold",
    "dropout",
    "dropout2d",
    "alpha_dropout",
    "feature_alpha_dropout",
    "batch_norm",
    "local_response_norm",
    "contiguous",
    "clone",
    "detach",
    "to",
    "float",
    "double",
    "half",
    *(f"__{side}{name}__" for side in ("", "r", "i") for name in ("add", "sub", "mul", "truediv", "pow")),
}
CONSTANT = {"ones_like", "zeros_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty"}


class Follow(TorchFunctionMode):
    """While active, `fields` knows what each tensor made from `image` sees of it."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.kept = [image]  # alive, so that no other tensor gets its id
        self.fields: dict[int, Field] = {id(image): (Axis(), Axis())}

    def field(self, tensor: Any) -> Field | None:
        """What `tensor` sees; None where it does not depend on the image."""
        return self.fields.get(id(tensor))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given = [a for a in _tensors([*args, *kwargs.values()]) if id(a) in self.fields]
        if given and _tensors([result]):
            name = getattr(func, "__name__", str(func))
            if name in CONSTANT:
                return result
            if not isinstance(result, Tensor):
                raise ValueError(f"cannot follow {name}, which gives several tensors")
            self.kept.append(result)
            self.fields[id(result)] = self._rule(name, given, result, args, kwargs)
        return result

    def _rule(self, name: str, given: list[Tensor], result: Tensor, args: Any, kwargs: Any) -> Field:
        fields = [self.fields[id(t)] for t in given]
        if name in POINTWISE or (name == "linear" and result.ndim == 2):
            return _together(given, fields, result)
        if name in ("cat", "concat") and _argument("dim", 1, 0, args, kwargs) in (1, -3):
            return _together(given, fields, result)
        rule = RULES.get(name)
        if rule is None or given[0].ndim != 4:
            raise ValueError(
                f"cannot follow {name} from {tuple(given[0].shape)} to {tuple(result.shape)}: "
                "what a cell of its result sees is not known here"
            )
        return rule(fields[0], given[0], result, args, kwargs)


def _tensors(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
    return found


def _argument(name: str, place: int, default: Any, args: Any, kwargs: Any) -> Any:
    return kwargs.get(name, args[place] if len(args) > place else default)


def _together(given: list[Tensor], fields: list[Field], result: Tensor) -> Field:
    """All at once; a map of one cell, broadcast over a larger one, shows that cell everywhere."""

    def axis(a: int) -> Axis:
        spread = [
            f[a].whole(1) if t.ndim == result.ndim == 4 and t.shape[2 + a] < result.shape[2 + a] else f[a]
            for t, f in zip(given, fields, strict=True)
        ]
        return spread[0] if len(spread) == 1 else union(spread)

    return axis(0), axis(1)


def _windowed(field: Field, w: Window) -> Field:
    first, second = (field[a].windowed(w.extent[a], w.stride[a], w.padding[a]) for a in (0, 1))
    return first, second


def _conv2d(field: Field, x: Tensor, result: Tensor, args: Any, kwargs: Any) -> Field:
    kernel = pair(_argument("weight", 1, None, args, kwargs).shape[2:])
    rate = pair(_argument("dilation", 5, 1, args, kwargs))
    padding = _argument("padding", 4, 0, args, kwargs)
    if isinstance(padding, str):
        padding = [((k - 1) * r) // 2 if padding == "same" else 0 for k, r in zip(kernel, rate, strict=True)]
    return _windowed(field, Window(kernel, pair(_argument("stride", 3, 1, args, kwargs)), pair(padding), rate))


def _conv_transpose2d(field: Field, x: Tensor, result: Tensor, args: Any, kwargs: Any) -> Field:
    w = Window(
        pair(_argument("weight", 1, None, args, kwargs).shape[2:]),
        pair(_argument("stride", 3, 1, args, kwargs)),
        pair(_argument("padding", 4, 0, args, kwargs)),
        pair(_argument("dilation", 7, 1, args, kwargs)),
    )
    first, second = (field[a].transposed(w.extent[a], w.stride[a], w.padding[a]) for a in (0, 1))
    return first, second


def _pool2d(field: Field, x: Tensor, result: Tensor, args: Any, kwargs: Any) -> Field:
    kernel = pair(_argument("kernel_size", 1, None, args, kwargs))
    stride = pair(_argument("stride", 2, None, args, kwargs) or kernel)
    return _windowed(field, Window(kernel, stride, pair(_argument("padding", 3, 0, args, kwargs))))


def _max_pool2d(field: Field, x: Tensor, result: Tensor, args: Any, kwargs: Any) -> Field:
    kernel = pair(_argument("kernel_size", 1, None, args, kwargs))
    stride = pair(_argument("stride", 2, None, args, kwargs) or kernel)
    rate = pair(_argument("dilation", 4, 1, args, kwargs))
    return _windowed(field, Window(kernel, stride, pair(_argument("padding", 3, 0, args, kwargs)), rate))


def _adaptive(field: Field, x: Tensor, result: Tensor, args: Any, kwargs: Any) -> Field:
    first, second = (field[a].pooled_to(x.shape[2 + a], result.shape[2 + a]) for a in (0, 1))
    return first, second


def _interpolate(field: Field, x: Tensor, result: Tensor, args: Any, kwargs: Any) -> Field:
    mode = _argument("mode", 3, "nearest", args, kwargs)
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"cannot follow interpolate with mode={mode!r}")
    align = bool(_argument("align_corners", 4, None, args, kwargs))
    first, second = (
        field[a].resized(x.shape[2 + a], result.shape[2 + a], align_corners=align, nearest=mode == "nearest")
        for a in (0, 1)
    )
    return first, second


def _pad(field: Field, x: Tensor, result: Tensor, args: Any, kwargs: Any) -> Field:
    around = [*_argument("pad", 1, (), args, kwargs), 0, 0, 0, 0]
    return field[0].cut(-around[2]), field[1].cut(-around[0])


def _getitem(field: Field, x: Tensor, result: Tensor, args: Any, kwargs: Any) -> Field:
    index = args[1] if isinstance(args[1], tuple) else (args[1],)
    missing = x.ndim - sum(i is not Ellipsis for i in index)
    at = index.index(Ellipsis) if Ellipsis in index else len(index)
    full = (*index[:at], *[slice(None)] * missing, *index[at + 1 :])
    if result.ndim != 4 or not all(isinstance(i, slice) for i in full[2:]):
        raise ValueError(f"cannot follow indexing with {args[1]}: only slices of rows and columns keep a map")
    first, second = (field[a].cut(*_start_step(full[2 + a], x.shape[2 + a])) for a in (0, 1))
    return first, second


def _start_step(part: slice, cells: int) -> tuple[int, int]:
    start, _, step = part.indices(cells)
    return start, step


def _global(field: Field, x: Tensor, result: Tensor, args: Any, kwargs: Any) -> Field:
    """One answer from the whole map: flattening, or a mean over both its axes."""
    if result.ndim != 2 and tuple(result.shape[2:]) != (1, 1):
        raise ValueError(f"cannot follow a reshaping from {tuple(x.shape)} to {tuple(result.shape)}")
    return field[0].whole(x.shape[2]), field[1].whole(x.shape[3])


Rule = Callable[[Field, Tensor, Tensor, Any, Any], Field]
RULES: dict[str, Rule] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "avg_pool2d": _pool2d,
    "max_pool2d": _max_pool2d,
    "adaptive_avg_pool2d": _adaptive,
    "adaptive_max_pool2d": _adaptive,
    "interpolate": _interpolate,
    "pad": _pad,
    "__getitem__": _getitem,
    "flatten": _global,
    "view": _global,
    "reshape": _global,
    "mean": _global,
}


def meta(net: torch.nn.Module) -> dict[str, Tensor]:
    """The network's parameters and buffers without memory: it can run on shapes alone."""
    return {name: t.detach().to("meta") for name, t in [*net.named_parameters(), *net.named_buffers()]}
