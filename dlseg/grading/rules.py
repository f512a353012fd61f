"""Rules on how an answer is written ("without torch"): looked for in its syntax tree, by `check` and by the grade.

A rule is a sentence and what breaks it. Comments, texts and variables are free: `torch_like = 1` breaks no rule.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

SHOWN = 80  # characters of the code that breaks a rule
LONGEST = 6  # parts of a dotted name that are looked at
LOOPS = ast.For | ast.AsyncFor | ast.While | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
LOOPING = frozenset({"map", "filter", "vectorize", "frompyfunc", "fromiter", "apply_along_axis", "fromfunction"})
BY_TEXT = frozenset({"getattr", "attrgetter", "methodcaller", "__import__", "import_module", "__getattribute__"})
FUNCTIONAL = ("F", "functional")
HIDING = frozenset({"eval", "exec", "compile", "__import__"})  # what they do cannot be read


@dataclass(frozen=True)
class Rule:
    """What breaks a rule.

    Attributes:
        sentence: what a student reads.
        modules: packages or modules that may not be imported.
        names: functions and classes that may not be imported, or used as a part (`F.interpolate`) of anything.
        keywords: arguments that no call may have: the name → the functions that take it, with its place (from 0).
        loops: whether loops, comprehensions and `map` are against it.
    """

    sentence: str
    modules: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    keywords: dict[str, dict[str, int]] = field(default_factory=dict)
    loops: bool = False


_DILATED = {f"{kind}{n}d": place for n in (1, 2, 3) for kind, place in (("conv", 5), ("Conv", 5))}
_DILATED |= {f"{kind}{n}d": place for n in (1, 2, 3) for kind, place in (("max_pool", 4), ("MaxPool", 3))}
_DILATED |= {f"conv_transpose{n}d": 7 for n in (1, 2, 3)} | {"unfold": 2, "Unfold": 1}
_ENLARGING = (
    "interpolate upsample upsample_bilinear Upsample UpsamplingBilinear2d grid_sample affine_grid zoom resize "
    "rescale map_coordinates affine_transform interpn interp2d griddata RegularGridInterpolator "
    "RectBivariateSpline LinearNDInterpolator conv_transpose2d ConvTranspose2d"
)

RULES = {
    "no torch": Rule("Write it in numpy alone, without torch.", modules=frozenset({"torch"})),
    "no dilation": Rule(
        "Read the map with steps of your own: no call may be given a `dilation`.",
        keywords={"dilation": _DILATED},
    ),
    "no loop": Rule("Write it without a loop: no for, while, comprehension or map.", loops=True),
    "no ready-made enlarging": Rule(
        "Write the straight lines yourself: no function that enlarges maps (F.interpolate, scipy's zoom, …).",
        names=frozenset(_ENLARGING.split()),
    ),
    "no optimiser": Rule(
        "Write the step yourself, without torch.optim.",
        modules=frozenset({"torch.optim"}),
        names=frozenset({"optim", "SGD", "Adam", "AdamW"}),
    ),
}


def broken(tree: ast.AST, rules: Iterable[str] = tuple(RULES)) -> dict[str, str]:
    """The rules that a piece of code breaks, each with the code that breaks it.

    Args:
        tree: the syntax tree.
        rules: names of rules that are looked at.

    >>> broken(ast.parse("import torch as t"))
    {'no torch': 'import torch as t'}
    >>> broken(ast.parse("torch_like = 'import torch'  # torch"))
    {}
    """
    found: dict[str, str] = {}
    for name in rules:
        node = next((node for node in ast.walk(tree) if _breaks(node, RULES[name])), None)
        if node is not None:
            found[name] = " ".join(ast.unparse(node).split())[:SHOWN]
    return found


def message(rule: str, code: str) -> str:
    """The sentence for a student whose answer has `code`."""
    return f"a rule of this exercise: {RULES[rule].sentence} Your code has: {code}"


def broken_by(function: Callable[..., Any], rules: Iterable[str]) -> str:
    """The message for a function of this process, and for what it uses; "" where it keeps all rules.

    Args:
        function: one whose text Python can find; of another only what it uses is looked at.
        rules: names of rules.
    """
    wanted = tuple(rules)
    for tree in _trees(function, set()) if wanted else ():
        for rule, code in broken(tree, wanted).items():
            return message(rule, code)
    return ""


def _breaks(node: ast.AST, rule: Rule) -> bool:
    match node:
        case ast.Import():
            return any(_within(alias.name, rule.modules) for alias in node.names)
        case ast.ImportFrom():
            paths = [node.module or "", *(f"{node.module or ''}.{alias.name}" for alias in node.names)]
            return any(_within(path, rule.modules) or path.rpartition(".")[2] in rule.names for path in paths)
        case ast.Attribute():
            looping = rule.loops and node.attr in LOOPING
            return looping or node.attr in rule.names or _within(_dotted(node), rule.modules)
        case ast.Subscript():  # vars(F)["interpolate"], sys.modules["torch"]
            return _forbidden_text(node.slice, rule)
        case ast.Call():
            return _reads_badly(node, rule) or _has_keyword(node, rule)
    by_text = isinstance(node, ast.Dict) and any(_text(key) in rule.keywords for key in node.keys)
    return by_text or (rule.loops and isinstance(node, LOOPS))  # by_text: f(**{"dilation": 2})


def _reads_badly(call: ast.Call, rule: Rule) -> bool:
    """Whether a call does what cannot be read (`eval`), loops, or takes a part of something by a forbidden text."""
    name = _last(call.func)
    computed = name == "getattr" and len(call.args) > 1 and _text(call.args[1]) is None
    looping = rule.loops and name in LOOPING
    by_text = name in BY_TEXT and any(_forbidden_text(argument, rule) for argument in call.args)
    return name in HIDING or computed or looping or by_text


def _has_keyword(call: ast.Call, rule: Rule) -> bool:
    """Whether a call is given one of the rule's arguments, by its name or in its place."""
    if any(word.arg in rule.keywords for word in call.keywords):
        return True
    function, arguments = call.func, call.args
    if _last(function) == "partial" and arguments:
        function, arguments = arguments[0], arguments[1:]
    name = _last(function)
    if name == "unfold" and isinstance(function, ast.Attribute) and _last(function.value) not in FUNCTIONAL:
        return False  # a tensor's own unfold takes a step
    starred = any(isinstance(argument, ast.Starred) for argument in arguments)
    return any(name in to and (starred or len(arguments) > to[name]) for to in rule.keywords.values())


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _dotted(node: ast.AST) -> str:
    """`torch.nn` for the tree of torch.nn; '' for parts of anything but a name, and for longer chains."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < LONGEST:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _forbidden_text(node: ast.AST, rule: Rule) -> bool:
    text = _text(node)
    return text is not None and (text in rule.names or text in rule.keywords or _within(text, rule.modules))


def _within(module: str, modules: frozenset[str]) -> bool:
    """Whether `module` is one of `modules` or lies in one."""
    return any(module == name or module.startswith(f"{name}.") for name in modules)


def _trees(function: Any, seen: set[int]) -> Iterator[ast.AST]:
    """The tree of a function, of the functions that it uses, and imports that stand for what else it uses."""
    if id(function) in seen:
        return
    seen.add(id(function))
    with contextlib.suppress(OSError, TypeError, SyntaxError, ValueError):  # typed at a prompt
        yield ast.parse(textwrap.dedent(inspect.getsource(function)))
    code = getattr(function, "__code__", None)
    if not isinstance(function, FunctionType) or code is None:
        return
    near = inspect.getclosurevars(function)
    for name, value in {**near.globals, **near.nonlocals}.items():
        if isinstance(value, ModuleType):
            yield ast.Import([ast.alias(value.__name__, name)])
        elif isinstance(value, FunctionType) and value.__module__ == function.__module__:
            yield from _trees(value, seen)
        elif callable(value) and (home := getattr(value, "__module__", None)):
            own = getattr(value, "__name__", name)
            yield ast.ImportFrom(str(home), [ast.alias(own, name)], 0)
