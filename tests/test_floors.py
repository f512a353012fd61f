"""The house has floors: a file imports only from its own floor or below, and there are no import circles."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
# one list for the picture and for this test
FLOORS = [set(names) for _, names in runpy.run_path(str(REPO / "docs" / "floors.py"))["FLOORS"]]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# heavy packages and the lowest floor that may import them when the module is loaded
LATE = {"matplotlib": 4, "ipywidgets": 5, "anywidget": 5, "IPython": 5, "click": 7}
LAZY_ONLY = {"pydensecrf"}


def imported_modules(tree: ast.AST, *, top_level_only: bool) -> set[str]:
    nodes = ast.iter_child_nodes(tree) if top_level_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part_of(path: Path, package: Path) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def test_imports_run_down_only(repo: Path) -> None:
    package, wrong = repo / "dlseg", []
    for path in package.rglob("*.py"):
        part = part_of(path, package)
        if part == "__init__":
            continue
        for name in imported_modules(ast.parse(path.read_text()), top_level_only=False):
            parts = name.split(".")
            if parts[0] == "dlseg" and len(parts) > 1 and parts[1] in FLOOR and FLOOR[parts[1]] > FLOOR[part]:
                wrong.append(f"{path.relative_to(repo)} (floor {FLOOR[part]}) imports {name}")
    assert not wrong, "\n".join(wrong)


def test_every_part_has_a_floor(repo: Path) -> None:
    package = repo / "dlseg"
    parts = {part_of(p, package) for p in package.rglob("*.py")} - {"__init__"}
    assert parts <= set(FLOOR), f"give {sorted(parts - set(FLOOR))} a floor in docs/floors.py"


def test_no_import_circles(repo: Path) -> None:
    package = repo / "dlseg"
    files = {
        p.relative_to(repo).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): p
        for p in package.rglob("*.py")
    }
    graph = {}
    for module, path in files.items():
        names = imported_modules(ast.parse(path.read_text()), top_level_only=True)
        graph[module] = {m for n in names for m in (n, n.rpartition(".")[0]) if m in files and m != module}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "import circle: " + " -> ".join((*trail, module))
        if module not in done:
            for other in graph[module]:
                # a package's own __init__ gathers its files: a file naming its package's sibling is no circle
                if not module.startswith(other + "."):
                    visit(other, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_heavy_packages_load_late(repo: Path) -> None:
    package, wrong = repo / "dlseg", []
    for path in package.rglob("*.py"):
        floor = FLOOR.get(part_of(path, package), 0)
        for name in imported_modules(ast.parse(path.read_text()), top_level_only=True):
            root = name.split(".")[0]
            if root in LAZY_ONLY or LATE.get(root, 0) > floor:
                wrong.append(f"{path.relative_to(repo)} imports {root} when it is loaded")
    assert not wrong, "\n".join(wrong)


def test_import_dlseg_loads_nothing_heavy() -> None:
    code = (
        "import sys, torch; before = set(sys.modules); import dlseg; "
        "print([m for m in set(sys.modules) - before if not m.startswith('dlseg')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
