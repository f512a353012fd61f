"""A student's cells, run as a notebook runs them: by IPython's transformer, in order, an error costing its cell.

The library is not there while grading. Cells that only look at something with it (`load`, `check`, a figure) still
run: its names stand for objects that answer to everything while cells are run, and refuse once answers are called.
"""

from __future__ import annotations
import __future__

import ast
import asyncio
import contextlib
import inspect
import linecache
import operator
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.profiledir import ProfileDir
from IPython.display import display
from IPython.utils.text import SList
from traitlets.config import Config

from dlseg.grading import parsing

CELL = "<cell "
TICK = 0.1
INSTALLERS = ("pip", "pip3", "conda", "mamba", "uv", "apt", "apt-get", "brew")
IGNORED = ("matplotlib", "gui", "load_ext", "reload_ext", "autoreload", "config", "debug", "pdb", *INSTALLERS[:5])
MISSING = "dlseg is not there while grading: exercise cells must stand on their own"
BINARY = (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lt",
    "le",
    "gt",
    "ge",
)


class MissingLibrary(ImportError):
    """A cell needs a value that only the library could give."""


class CellTooSlow(BaseException):
    """A cell has used its share of the time; no `except Exception` may hold it up."""


class Unknown:
    """What stands for a name of the library: its parts, calls and items are such objects again."""

    _library: NoLibrary
    _name: str

    def __init__(self, library: NoLibrary, name: str) -> None:
        vars(self).update({"_library": library, "_name": name})

    def _part(self, name: str) -> Unknown:
        if self._library.refuses:
            raise ImportError(MISSING)
        return Unknown(self._library, name)

    def __getattr__(self, name: str) -> Unknown:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._part(f"{self._name}.{name}")

    def __call__(self, *arguments: object, **named: object) -> Any:
        if len(arguments) == 1 and not named and callable(arguments[0]) and not isinstance(arguments[0], Unknown):
            return arguments[0]  # a decorator
        return self._part(f"{self._name}()")

    def __getitem__(self, key: object) -> Unknown:
        return self._part(f"{self._name}[…]")

    def __setattr__(self, name: str, value: object) -> None:
        self._part(name)

    def __setitem__(self, key: object, value: object) -> None:
        self._part(self._name)

    def __enter__(self) -> Unknown:
        return self._part(self._name)

    def __exit__(self, *_: object) -> None:
        pass

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return ()

    def __repr__(self) -> str:
        return f"<{self._name}: {MISSING}>"

    def _no_value(self, *_: object, **__: object) -> Any:
        raise MissingLibrary(MISSING)

    __iter__ = __len__ = __array__ = __float__ = __int__ = __index__ = __contains__ = _no_value


def _operation(name: str) -> Callable[[Unknown, object], Unknown]:
    return lambda self, _: self._part(f"{self._name} {name} …")


for _name in BINARY:
    for _kind in (f"__{_name}__", f"__r{_name}__"):
        if hasattr(operator, f"__{_name}__"):
            setattr(Unknown, _kind, _operation(_name))


class NoLibrary(MetaPathFinder, Loader):
    """`import dlseg` inside a graded cell: modules whose every name is Unknown; refused once answers are called."""

    def __init__(self, wanted: set[str], space: dict[str, Any]) -> None:
        self.refuses = False
        self._wanted, self._space = wanted, space

    def star(self) -> list[str]:
        """What a star import brings: names that cells use, none binds, and no other star import has brought."""
        return sorted(self._wanted - set(self._space))

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Take dlseg and its parts; leave all else to the other finders."""
        if name.partition(".")[0] != "dlseg":
            return None
        if self.refuses:
            raise ImportError(MISSING)
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module that has every name."""
        return _Part(self, spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


class _Part(ModuleType):
    def __init__(self, library: NoLibrary, name: str) -> None:
        super().__init__(name)
        self._library = library

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return self._library.star()
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(self._library, f"{self.__name__}.{name}")


class _Shell(InteractiveShell):
    def system(self, cmd: str) -> None:
        """`!command`: run it, whatever it says; installing needs a network and is passed over."""
        self.getoutput(cmd)

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        """`files = !command`: the lines that it printed."""
        text, first = "", cmd.split(maxsplit=1)[:1]
        if first and first[0] not in INSTALLERS and "pip install" not in cmd:
            text = subprocess.run(
                self.var_expand(cmd, depth=depth + 1), shell=True, capture_output=True, text=True, check=False
            ).stdout
        return SList(text.splitlines()) if split else text

    system_piped = system_raw = system


def warm_up() -> None:
    """Make the one shell of this process, without history or profile: jobs are forks, none pays for it again."""
    config = Config()
    config.HistoryManager.enabled = False
    with tempfile.TemporaryDirectory() as folder:
        profile = ProfileDir(location=f"{folder}/profile")
        shell = _Shell.instance(config=config, profile_dir=profile, ipython_dir=folder)
    if shell.display_formatter is not None:
        shell.display_formatter.active_types = ["text/plain"]
    magics = shell.magics_manager.magics["line"]
    magics |= {name: lambda line="": None for name in IGNORED}
    timeit = shell.find_line_magic("timeit")
    magics["timeit"] = lambda line="": timeit(_once(line))


def _once(line: str) -> str:
    return "".join(f"-{flag}1 " for flag in "nr" if f"-{flag}" not in line) + line


class Cells:
    """One submission's module, and the cells that are run in it."""

    def __init__(self, *, notebook: bool, future: bool, functions: list[str], wanted: set[str]) -> None:
        self.module = ModuleType("__main__" if notebook else "submission")
        self.space = vars(self.module)
        self.functions: dict[str, Any] = {}
        self.errors: dict[str, dict[str, Any]] = {}
        self._wanted = functions
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | (__future__.annotations.compiler_flag if future else 0)
        self._library = NoLibrary(wanted, self.space)
        self._loop: asyncio.AbstractEventLoop | None = None
        for name in [m for m in sys.modules if m.partition(".")[0] == "dlseg"]:
            del sys.modules[name]
        sys.meta_path.insert(0, self._library)
        sys.path.insert(0, "")  # a file that a cell wrote can be imported, as in a notebook
        sys.modules[self.module.__name__] = self.module
        shell = _Shell.instance()
        shell.user_module, shell.user_ns = self.module, self.space
        self.space |= {"get_ipython": lambda: shell, "display": display}

    def run(self, part: dict[str, Any], seconds: float) -> None:
        """Run one cell, or some of its statements; what goes wrong is kept in `errors`."""
        number = str(part["number"])
        try:
            with _deadline(seconds):
                self._statements(part)
        except BaseException as error:  # a student's SystemExit costs its cell alone
            _disarm()  # the bell may have rung while it was switched off
            self.errors[number] = raised(error) | {"slow": isinstance(error, CellTooSlow)}
        if part["home"]:
            self.capture()

    def capture(self) -> None:
        """Keep the answers as they are now: later cells may use their names for other things."""
        self.functions |= {name: self.space[name] for name in self._wanted if name in self.space}

    def finish(self) -> None:
        """No more cells: answers that no cell of the exercise gave are taken from all; the library refuses."""
        missing = [name for name in self._wanted if name not in self.functions]
        self.functions |= {name: self.space[name] for name in missing if name in self.space}
        self._library.refuses = True

    def _statements(self, part: dict[str, Any]) -> None:
        name, source = f"{CELL}{part['number']}>", part["source"]
        body = parsing.parse(source)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        picked = part["statements"]
        lenient = part["lenient"]
        failed: Exception | None = None
        for node in body if picked is None else [body[index] for index in picked]:
            try:
                code = compile(ast.Module([node], []), name, "exec", flags=self._flags, dont_inherit=True)
                if code.co_flags & inspect.CO_COROUTINE:
                    self._await(eval(code, self.space))
                else:
                    exec(code, self.space)
            except MissingLibrary as error:  # the cell was fine where the library is
                lenient, failed = True, error
            except Exception as error:
                if not lenient:
                    raise
                failed = failed or error
        if failed is not None:
            raise failed

    def _await(self, waiting: Any) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(waiting)


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """CellTooSlow after so many seconds of computing, or three times as many on a clock that stands while we do."""
    start, ticks = cpu_seconds(), 0

    def tick(*_: object) -> None:
        nonlocal ticks
        ticks += 1
        if cpu_seconds() - start > seconds or ticks * TICK > 3 * seconds + 2:
            raise CellTooSlow(f"the cell took longer than {seconds:.3g} s")

    signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    try:
        yield
    finally:
        _disarm()


def _disarm() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def cpu_seconds() -> float:
    """Seconds that this process has computed."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def raised(error: BaseException) -> dict[str, Any]:
    """An exception as plain words: its type, its sentence, the student's own line."""
    mine = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(CELL)]
    line = f"{mine[-1].filename.strip('<>')}, line {mine[-1].lineno}" if mine else ""
    return {"raised": type(error).__name__, "message": sentence(error), "where": line}


def sentence(error: BaseException) -> str:
    """The exception in a line; a hostile __str__ costs its words."""
    try:
        return f"{type(error).__name__}: {error}"[:500]
    except BaseException:
        return type(error).__name__
