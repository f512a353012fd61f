"""A network in the paper's words, for people: what `repr` shows."""

from torch import nn

from dlseg.atrous import Window
from dlseg.atrous.window import Pair


def describe(net: nn.Module, title: str) -> str:
    """A title, then one line per layer with weights or a window; ReLU and dropout stay on the line before."""
    lines: list[str] = []
    for name, module in net.named_modules():
        words = _words(module)
        if words is None:
            continue
        if words.startswith("+"):
            lines[-1] += f", {words[1:]}"
        else:
            lines.append(f"  {name.removeprefix('chain.').replace('.layers', ''):<20} {words}")
    return "\n".join([title, *lines])


def _words(module: nn.Module) -> str | None:
    """A layer in words, with a leading + where it belongs to the line before."""
    if isinstance(module, nn.ConvTranspose2d):
        size, learned = module.kernel_size[0], "learned" if module.weight.requires_grad else "fixed"
        return f"{size}×{size} upsampling ×{module.stride[0]}, bilinear, {learned}"
    if isinstance(module, nn.Linear):
        return f"fully connected, {module.out_features}"
    if isinstance(module, nn.ReLU):
        return "+ReLU"
    if isinstance(module, nn.Dropout):
        return f"+dropout {module.p:g}"
    if isinstance(module, nn.LocalResponseNorm | nn.BatchNorm2d):
        return "+" + ("batch" if isinstance(module, nn.BatchNorm2d) else "local response") + " normalisation"
    window = Window.of(module)
    return None if window is None else _windowed(module, window)


def _windowed(module: nn.Module, w: Window) -> str:
    average = isinstance(module, nn.AvgPool2d) or getattr(module, "average", False)
    pool = "average pool" if average else "max pool"
    kind = f"conv, {module.out_channels}" if isinstance(module, nn.Conv2d) else pool
    said = (("stride", w.stride, (1, 1)), ("input stride", w.rate, (1, 1)), ("padding", w.padding, (0, 0)))
    extras = [f"{word} {_number(value)}" for word, value, silent in said if value != silent]
    return ", ".join([f"{w.kernel[0]}×{w.kernel[1]} {kind}", *extras])


def _number(value: Pair) -> str:
    return f"{value[0]}" if value[0] == value[1] else f"{value[0]}×{value[1]}"
