"""One reader against many damaged copies, in this process: what opened, how slow, how much memory, what went wrong."""

from __future__ import annotations

import random
import resource
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from damage import damaged
from readers import Reader

from diag import file_state
from diag.errors import InputError

file_state.TICK_NS = 0  # nothing changes between a look and a read here; waiting for the clock would be all there is
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
SEEDS = Path(__file__).parent / "seeds"
MOST_SECONDS = 2.0  # of this process; other work on the machine does not count
HANGS = 30.0  # seconds of the clock
MOST_BYTES = 512 << 20


@dataclass(frozen=True)
class Outcome:
    """Counts, the slowest try in seconds, growth of the process's peak memory in bytes, and a line a failure."""

    tries: int = 0
    opened: int = 0
    slowest: float = 0.0
    grown: int = 0
    failures: tuple[str, ...] = ()

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.tries + other.tries,
            self.opened + other.opened,
            max(self.slowest, other.slowest),
            max(self.grown, other.grown),
            self.failures + other.failures,
        )


def attempt(reader: Reader, path: Path) -> bool:
    """Whether it could be used; False where it was refused. Anything else than a refusal of one line is raised."""
    try:
        reader.use(path)
    except InputError as error:
        assert "\n" not in str(error), "the refusal has more than one line"
        return False
    return True


def timed(reader: Reader, path: Path) -> tuple[bool | None, float, str]:
    """(whether it opened, seconds, what went wrong or "")."""
    wall, own = time.monotonic(), time.process_time()
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, HANGS)
    opened, wrong = None, ""
    try:
        opened = attempt(reader, path)
    except Exception as error:
        wrong = f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    took = min(time.monotonic() - wall, time.process_time() - own)
    return opened, took, wrong or (f"took {took:.1f} s" if took > MOST_SECONDS else "")


def run(reader: Reader, numbers: range, seed: int = 0, at: Any = None) -> Outcome:
    """Damage copy after copy of the reader's sample. at: a shared value that is told each number."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as temporary:
        folder = Path(temporary)
        path = reader.write(folder)
        assert attempt(reader, path), f"{reader.name}: the sound sample does not open"
        files = sorted(file for file in folder.rglob(reader.victims) if file.is_file())
        sound = {file: file.read_bytes() for file in files}
        opened, slowest, failures = 0, 0.0, []
        before = _peak()
        for number in numbers:
            rng = random.Random(f"{reader.name} {seed} {number}")
            victim = rng.choice(files)
            victim.write_bytes(damaged(sound[victim], rng))
            if at is not None:
                at.value = number
            grown = _peak()
            good, took, wrong = timed(reader, path)
            if _peak() - grown > MOST_BYTES:
                wrong = wrong or f"memory grew by {(_peak() - grown) / 1e6:,.0f} MB"
            if wrong:
                failures.append(f"try {number}: {wrong}")
                keep(reader, number, folder)
            opened, slowest = opened + bool(good), max(slowest, took)
            victim.write_bytes(sound[victim])
        return Outcome(len(numbers), opened, slowest, _peak() - before, tuple(failures))


def keep(reader: Reader, number: int, folder: Path) -> None:
    """Put the damaged files among the seeds."""
    place = SEEDS / reader.name / str(number)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _late(*_: object) -> None:
    raise TimeoutError("it did not come back")
