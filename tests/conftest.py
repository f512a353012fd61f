"""What every test shares: the optional folder of real samples; one thread (small nets gain nothing from more)."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # tests run side by side, and so do the processes that they start: two threads each would wait for each other.
    # (Before torch and NumPy are imported, which read it once.)
    for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # as the environment of many a container says; but tests start hundreds of processes, and each would compile the
    # library again
    sys.dont_write_bytecode = False

import hypothesis
import jaxtyping
import pytest
import torch

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # started in the background (`nohup make test &`): a process inherits that a signal is ignored, but no function
    # that does nothing, so that those that tests start can be interrupted
    signal.signal(signal.SIGINT, lambda *_: None)

torch.set_num_threads(int(os.environ.get("DLSEG_TEST_THREADS", "1")))

# CI must not fail on an example that no change has anything to do with; elsewhere hypothesis goes on looking.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / "tests" / "notebooks"))  # executed.py, for the browser's tests too
sys.path.insert(0, str(REPO / "tests" / "shared"))  # what tests of several folders import
# what is made or counted on first use stays in this checkout: tests leave nothing in the user's own cache
os.environ["DLSEG_CACHE"] = str(REPO / ".pytest_cache" / "dlseg")

# the grader's sandbox is Linux's: elsewhere there is nothing to attack, and on Windows it cannot even be imported
collect_ignore = {"linux": [], "win32": ["hostile", "grading", "assignments"]}.get(sys.platform, ["hostile"])
NO_SANDBOX = pytest.mark.skip(reason="grading needs Linux's sandbox")

# Two workers share the suite by groups: a test's file is its group, but for
TOGETHER = {"hostile": "hostile", "browser/test_lessons": "lessons", "browser/test_book": "lessons"}
# (attacks look at the whole machine; the book takes the lessons' results), and where one fixture runs for minutes,
APART = {"notebooks/test_student_notebooks": "executed", "systems/test_other_systems": "found"}
# its values are groups of their own. What takes long comes first, so that no worker is left alone at the end.
LONG = ("browser/test_lessons", "browser/test_book", "hostile", "systems", "browser", "notebooks", "packaging",
        "training", "cli", "assignments")  # fmt: skip
# whole folders that `make quick` leaves out; elsewhere a test that takes more than ten seconds is marked
SLOW = ("hostile", "systems", "notebooks", "packaging", "assignments", "grading", "training", "cli")


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test its group, and mark the folders that are slow."""
    ranks = {}
    for item in items:
        name = item.path.relative_to(REPO / "tests").with_suffix("").as_posix() if REPO in item.path.parents else ""
        parts = (name, name.partition("/")[0])
        group = next((TOGETHER[part] for part in parts if part in TOGETHER), name)
        params = getattr(item, "callspec", None)
        if params is not None and APART.get(name) in params.params:
            group = f"{group}-{params.id}"
        item.add_marker(pytest.mark.xdist_group(group))
        if sys.platform != "linux" and "sandbox" in getattr(item, "fixturenames", ()):
            item.add_marker(NO_SANDBOX)
        if parts[1] == "browser":
            item.add_marker(pytest.mark.browser)
        if parts[1] in SLOW:
            item.add_marker(pytest.mark.slow)
        ranks[item] = min((LONG.index(part) for part in parts if part in LONG), default=len(LONG))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=ranks.__getitem__)


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Every test draws the same weights and images each time; what varies on purpose is hypothesis's."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of this checkout."""
    return REPO


@pytest.fixture(scope="session")
def samples() -> Path:
    """Real PASCAL VOC images, labels and scores; DLSEG_SAMPLES names a folder with voc/ and densecrf/."""
    folder = Path(os.environ.get("DLSEG_SAMPLES", REPO.parent / "shared" / "samples"))
    if not (folder / "voc").is_dir():
        pytest.skip("no real samples here: set DLSEG_SAMPLES to a folder that holds voc/ and densecrf/")
    return folder


@pytest.fixture
def as_users_see_it() -> Iterator[None]:
    """The library without the run-time shape checks of the tests: its own errors must be clear."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def small_set(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a data set of the first few validation scenes, which are its train and its val split alike."""
    from dlseg.datasets import load

    def make(count: int) -> Path:
        val, root = load("shapes", "val"), tmp_path / "set"
        for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (root / part).mkdir(parents=True)
        names = val.names[:count]
        for name in names:
            for part in (f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png"):
                (root / part).write_bytes((val.root / part).read_bytes())
        (root / "classes.json").write_bytes((val.root / "classes.json").read_bytes())
        for split in ("train", "val"):
            (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names))
        return root

    return make
