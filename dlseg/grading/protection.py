"""What protects this machine while other people's code is graded: tried by a job, said in plain words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dlseg.grading.sandbox.client import LEVELS, Sandbox, SandboxError
from dlseg.grading.sandbox.job import Limits

WORDS = {
    "bubblewrap": "a container: Python and the system's libraries, read-only; own processes",
    "landlock": "a process that the kernel has locked in (files, system calls, limits), without a container",
}


@dataclass(frozen=True)
class Protection:
    """What a job found when it tried: on which level, and what of the machine it could reach."""

    level: str = ""
    isolation: str = ""
    hidden: int = 0
    exposed: list[str] = field(default_factory=list)
    open_doors: list[str] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether a level works here and its job could reach nothing that it should not."""
        return bool(self.level) and not self.exposed and not self.open_doors

    def __str__(self) -> str:
        lines = [f"{level}: not available here: {why}" for level, why in self.refusals.items()]
        if not self.level:
            return "\n".join([*lines, "No submission can be graded safely on this machine."])
        lines += [f"In force: {self.level}, {WORDS[self.level]}.", f"Results will say: {self.isolation}."]
        if self.exposed:
            lines.append(f"NOT PROTECTED: a job can read the library or the exercises: {', '.join(self.exposed)}.")
        else:
            lines.append(
                f"The library and the exercises: a job looked in {self.hidden} places and could read none."
            )
        lines += [f"NOT PROTECTED: {door}." for door in self.open_doors]
        if not self.open_doors:
            lines.append("Network, other processes, files outside the job's own folder: tried, out of reach.")
        return "\n".join(lines)


def examine(tests: Path, out: Path | None = None, level: str | None = None) -> Protection:
    """Start a sandbox and let a job try to get out of it.

    Args:
        tests: the exercises, which a job must not see.
        out: the folder of results, if it is known: a job must not see it either.
        level: an isolation level; the strongest that works here if None.

    Returns:
        What holds and what does not; nothing is raised where no level works.
    """
    refusals: dict[str, str] = {}
    for name in LEVELS if level is None else (level,):
        sandbox = Sandbox(name, [tests, *([out] if out else [])])
        try:
            sandbox.start()
            doors = _open_doors(sandbox)
            found = Protection(
                sandbox.level, sandbox.isolation, len(sandbox.hidden), sandbox.exposed, doors, dict(refusals)
            )
        except SandboxError as error:
            refusals[name] = str(error).partition("is not available here: ")[2] or str(error)
            continue
        finally:
            sandbox.close()
        if found.exposed and level is None:
            refusals[name] = f"a job can read {found.exposed[0]}"
            continue
        return found
    return Protection(refusals=refusals)


def _open_doors(sandbox: Sandbox) -> list[str]:
    outcome = sandbox.run({"op": "probe"}, Limits(seconds=20.0))
    doors = outcome.frames[0].get("doors") if len(outcome.frames) == 1 else None
    if not isinstance(doors, list) or not all(isinstance(door, str) for door in doors):
        raise SandboxError(f"isolation {sandbox.level!r} does not run a job: {outcome.output[-300:]}")
    return doors
