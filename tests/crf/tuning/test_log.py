"""The log: whole lines only, one search only; a killed search goes on where it was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from dlseg.crf import Scored, search
from dlseg.crf.tuning.result import open_log

HEAD = {"space": {"w1": [5.0, 10.0]}, "data": "abc"}
CHILD = """
import sys, numpy as np
from dlseg.crf import Scored, Space, search
with np.load(sys.argv[1]) as d:
    samples = [Scored(f"s{i}", d[f"image{i}"], d[f"probs{i}"], d[f"truth{i}"]) for i in range(len(d.files) // 3)]
search(samples, Space.from_json(sys.argv[2]), log=sys.argv[3], jobs=int(sys.argv[4]))
"""


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_what_was_written_is_read_again(tmp_path):
    path = tmp_path / "log"
    with open_log(path, HEAD) as log:
        assert log.trials == []
        log.write({"a": 1})
        assert lines(path) == [HEAD, {"a": 1}]  # at once, not at the end
    with open_log(path, HEAD) as log:
        assert log.trials == [{"a": 1}]
        log.write({"a": 2})
    assert lines(path) == [HEAD, {"a": 1}, {"a": 2}]


def test_a_file_cut_anywhere_loses_its_last_line_only(tmp_path):
    path = tmp_path / "log"
    with open_log(path, HEAD) as log:
        for i in range(3):
            log.write({"trial": i})
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        with open_log(path, HEAD) as log:
            assert log.trials == [{"trial": i} for i in range(max(0, whole[:size].count(b"\n") - 1))]
            log.write({"trial": "next"})
        assert lines(path)[0] == HEAD and lines(path)[-1] == {"trial": "next"}


def test_what_is_not_this_searchs_log_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "log"
    for content, words in [
        (b"my notes\n", "line 1"),
        (b"my notes", "line 1"),
        (b"[1]\n", "line 1"),
        (json.dumps(HEAD).encode() + b"\n{\n", "line 2"),
        (json.dumps({**HEAD, "data": "abd"}).encode() + b"\n", "another search: .*data"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^log: .*{words}"), open_log(path, HEAD):
            pass
        assert path.read_bytes() == content
    with pytest.raises(FileNotFoundError, match="log: no folder"), open_log(tmp_path / "no" / "log", HEAD):
        pass


def test_two_searches_do_not_share_a_log(tmp_path):
    path = tmp_path / "log"
    with open_log(path, HEAD), pytest.raises(ValueError, match="another search is writing"), open_log(path, HEAD):
        pass
    with open_log(path, HEAD):
        pass


def test_another_space_or_other_data_is_refused(scored, small, tmp_path):
    samples, path, coarse = scored(2), tmp_path / "log", replace(small, moves=0)
    search(samples, coarse, log=path)
    changed = [samples[0], samples[1]._replace(truth=np.where(samples[1].truth == 1, 0, samples[1].truth))]
    for arguments, word in [
        ((samples, replace(coarse, w1=(1, 3))), "space"),
        ((changed, coarse), "data"),
        ((samples[:1], coarse), "data, images"),
    ]:
        with pytest.raises(ValueError, match=f"another {word}"):
            search(*arguments, log=path)
    assert search(samples, coarse, log=path).done == 0


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "times"), [(1, 2), (2, 1)])
def test_killed_at_random_moments_and_resumed(scored, small, tmp_path, repo, jobs, times):
    samples, path, file = scored(12), tmp_path / "log", tmp_path / "samples.npz"
    samples = [Scored(f"s{i}", *sample[1:]) for i, sample in enumerate(samples)]
    np.savez(
        file,
        **{
            f"{part}{i}": getattr(sample, part)
            for i, sample in enumerate(samples)
            for part in ("image", "probs", "truth")
        },
    )
    expected, chance, kills = search(samples, small), random.Random(jobs), 0
    for _ in range(times):
        had = path.read_bytes().count(b"\n") if path.exists() else 0
        enough = had + chance.randint(1, 3)
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, file, small.to_json(), path, str(jobs)], cwd=repo, start_new_session=True
        )
        while child.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") >= enough):
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.02))
        kills += child.poll() is None
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        before = path.read_bytes()
    assert kills == times
    kept = before[: before.rfind(b"\n") + 1]
    result = search(samples, small, log=path)
    assert result.trials == expected.trials
    assert path.read_bytes().startswith(kept)  # what was known is neither done nor written again
    assert result.done == len(expected.trials) - (kept.count(b"\n") - 1)
    settings = [json.dumps(document["params"]) for document in lines(path)[1:]]
    assert len(settings) == len(set(settings)) == len(expected.trials)
