"""Whether the files of a case are what they were when they were opened: without that a record would attest content
that was never measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from diag.checkpoints.digest import content_digest
from diag.file_state import States, changed, changed_since, keeps_states


@dataclass(frozen=True)
class FilesSeen:
    """What was opened, by its states; and by its content where the file system keeps no states."""

    states: States
    digests: Mapping[Path, str]

    @classmethod
    def of(cls, *read: States) -> FilesSeen:
        """To be called before anything is computed. Costs microseconds a file; on a file system without inodes and
        ctime (diag/file_state.py) one reading of each file, about 0.35 s a GB, and `check` the same again."""
        states = {path: state for each in read for path, state in each.items()}
        keeps = {device: keeps_states(device) for device in {state.device for state in states.values() if state}}
        return cls(states, _digests(path for path, state in states.items() if state and not keeps[state.device]))

    def check(self) -> None:
        """InputError that names the first file that is not what it was. To be called after the last byte was read."""
        differ = changed_since(self.states)
        if not differ:
            now = _digests(self.digests)
            differ = [path for path, digest in self.digests.items() if now[path] != digest]
        if differ:
            raise changed(differ[0])


def _digests(files: Iterable[Path]) -> dict[Path, str]:
    return {path: content_digest(path) for path in files}
