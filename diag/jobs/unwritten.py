"""Records that the disk refused: kept in the memory of the server, to be downloaded, and written when there is room.

Before a job starts a file of the size of records is written as a trial, so only the jobs that ran while a disk filled
up end here: a few, of some hundred kB each.
"""

from __future__ import annotations

import threading
import time

from diag.errors import InputError
from diag.evidence.records import import_record, write_record
from diag.settings import load_settings

RETRY_SECONDS = 5.0


class UnwrittenRecords:
    """By id. Safe to ask from every session at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    def keep(self, id: str, text: str) -> None:
        """Keep what the record's file would hold, and try every five seconds to write it."""
        with self._lock:
            self._texts[id] = text
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._retry, name="unwritten records", daemon=True)
                self._thread.start()

    def get(self, id: str | None) -> str | None:
        """The text of a record that is not on the disk yet; None once it is."""
        with self._lock:
            return self._texts.get(id or "")

    def count(self) -> int:
        """How many are not on the disk."""
        with self._lock:
            return len(self._texts)

    def write(self) -> None:
        """Try now to write them, into the evidence folder that the settings name now."""
        with self._lock:
            kept = dict(self._texts)
        for id, text in kept.items():
            try:
                write_record(load_settings().evidence_dir, import_record(text.encode()))
            except (InputError, MemoryError):  # still no room
                continue
            with self._lock:
                self._texts.pop(id, None)

    def _retry(self) -> None:
        while True:
            time.sleep(RETRY_SECONDS)
            self.write()
            with self._lock:
                if not self._texts:
                    self._thread = None  # under the lock: the next one that is kept starts another
                    return
