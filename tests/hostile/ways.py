"""Ways to reach the library from a graded function: each returns text of it, or something that is not that text.

They run where the sandbox runs them, so each is bounded by itself: no loop goes on for more than a few seconds.
"""

SEEN = "def insert_holes"  # stands in the library's source and in the exercises' reference, nowhere else

PRELUDE = """
import importlib, importlib.util, os, sys, time
PART = "atrous/conv.py"

def unhidden():
    sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "NoLibrary"]
    for name in [m for m in sys.modules if m.partition(".")[0] == "dlseg"]:
        del sys.modules[name]
    importlib.invalidate_caches()

def text_of(folder):
    for part in (PART, "course/exercises/atrous.py", "atrous/__init__.py"):
        try:
            return open(os.path.join(folder, part)).read()
        except OSError:
            pass
    return ""

def named(root, seconds=4.0, follow=False):
    end = time.time() + seconds
    for folder, inner, _ in os.walk(root, followlinks=follow):
        if time.time() > end:
            return
        for name in inner:
            if name == "dlseg" and (text := text_of(os.path.join(folder, name))):
                yield text
"""

WAYS = {
    "import past a filtered meta_path": """
    unhidden()
    import inspect, dlseg.atrous.conv
    return inspect.getsource(dlseg.atrous.conv)
""",
    "every finder and search path": """
    unhidden()
    from importlib.machinery import PathFinder
    for entry in sys.path:
        spec = PathFinder.find_spec("dlseg", [entry])
        for place in (spec.submodule_search_locations or []) if spec else []:
            if text := text_of(place):
                return text
    return ""
""",
    "another process": """
    import subprocess
    code = "import inspect, dlseg.atrous.conv as c; print(inspect.getsource(c))"
    said = [subprocess.run([python, *more, "-c", code], capture_output=True, text=True).stdout
            for python in (sys.executable, "/usr/bin/python3") for more in ([], ["-I"])]
    return "".join(said)
""",
    "site-packages by every name": """
    import site
    for folder in [*site.getsitepackages(), *sys.path]:
        for name in (folder, folder.replace("/lib/", "/lib64/"), folder.replace("/usr/lib/", "/lib/"),
                     os.path.realpath(folder)):
            if text := text_of(os.path.join(name, "dlseg")):
                return text
    return ""
""",
    "a walk from the interpreter": """
    return next(named(sys.prefix, follow=True), "") or next(named(sys.base_prefix), "")
""",
    "a walk from the top": """
    return next((text for root in ("/usr", "/opt", "/srv", "/home", "/lib", "/lib64", "/autograder", "/tmp")
                 for text in named(root, 0.6)), "")
""",
    "metadata": """
    from importlib.metadata import files
    return "".join(open(f.locate()).read() for f in files("dlseg") or [] if str(f).endswith("atrous/conv.py"))
""",
    "package data": """
    unhidden()
    import pkgutil
    return (pkgutil.get_data("dlseg.atrous", "conv.py") or b"").decode()
""",
    "through /proc": """
    for link in ("/proc/self/cwd", "/proc/self/root", "/proc/1/root", f"/proc/{os.getppid()}/root"):
        for folder in (link, link + "/" + os.path.dirname(os.path.dirname(os.path.dirname(os.__file__)))):
            if text := next(named(folder, 0.3), ""):
                return text
    return ""
""",
    "open files": """
    for number in range(3, 300):
        try:
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if text := text_of(f"/proc/self/fd/{number}/dlseg") or text_of(path):
            return text
    return ""
""",
    "a link of my own": """
    for folder in sys.path:
        for make in (os.symlink, os.link, os.rename):
            try:
                make(os.path.join(folder, "dlseg"), "mine")
            except OSError:
                continue
            if text := text_of("mine"):
                return text
    return ""
""",
    "loaded modules": """
    import gc
    for thing in gc.get_objects():
        if type(thing).__name__ == "module" and "dlseg.course" in getattr(thing, "__name__", ""):
            return "def insert_holes"
    return ""
""",
    "byte code": """
    import glob
    for folder in sys.path:
        for path in glob.glob(folder + "/**/dlseg/**/*.pyc", recursive=True):
            if b"insert_holes" in open(path, "rb").read():
                return "def insert_holes"
    return ""
""",
    "archives": """
    import zipfile
    for root in dict.fromkeys((sys.prefix, sys.base_prefix)):
        for folder, _, names in os.walk(root):
            for name in names:
                if name.startswith("dlseg") and name.endswith((".whl", ".zip", ".egg")):
                    with zipfile.ZipFile(os.path.join(folder, name)) as archive:
                        return archive.read("dlseg/atrous/conv.py").decode()
    return ""
""",
}


def submission() -> str:
    """One function per way, each right only where it has read the library."""
    parts = [PRELUDE]
    for number, body in enumerate(WAYS.values()):
        parts.append(f"def way_{number}(n):\n    return n + 1 if {SEEN!r} in find_{number}() else 0\n")
        parts.append(f"def find_{number}():{body}")
    return "\n".join(parts)


def honest() -> str:
    """The same functions, right by themselves."""
    return "\n".join(f"def way_{number}(n):\n    return n + 1" for number in range(len(WAYS))) + "\n"


def exercises() -> str:
    """The text of a file with one exercise per way."""
    return f"""
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.tolerance import exact
tests = (Test("t", 1, lambda rng: (int(rng.integers(1, 100)),), exact("whole numbers"), runs=1),)
EXERCISES = [Exercise(f"ways.way_{{n}}", f"way_{{n}}", lambda n: n + 1, tests, seconds=20)
             for n in range({len(WAYS)})]
"""
