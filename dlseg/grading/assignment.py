"""Which exercises a submission is graded on: those of its own notebook, or those that the teacher names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dlseg.grading.exercise import Exercise, ExerciseError


def topics(exercises: Sequence[Exercise]) -> list[str]:
    """The notebooks that exercises belong to, in order: `atrous` of `atrous.insert_holes`."""
    return list(dict.fromkeys(exercise.topic for exercise in exercises))


def topic_of(stem: str, exercises: Sequence[Exercise]) -> str:
    """The one topic that a file's name holds as a word (`smith_02_atrous` holds atrous), or ''."""
    words = f"_{re.sub('[^a-z0-9]+', '_', stem.lower())}_"
    found = [topic for topic in topics(exercises) if f"_{topic}_" in words]
    return found[0] if len(found) == 1 else ""


def of_topic(exercises: Sequence[Exercise], topic: str) -> list[Exercise]:
    """The exercises of one topic; all of them for ''. Raises ExerciseError for a topic that there is not."""
    chosen = [exercise for exercise in exercises if topic in ("", exercise.topic)]
    if not chosen:
        raise ExerciseError(f"assignment: got {topic!r}, expected one of {', '.join(topics(exercises))}")
    return chosen
