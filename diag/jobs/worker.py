"""The worker: the one process that imports torch. Reads requests on stdin, answers on stdout, ends with stdin.

    python -m diag.jobs.worker

It trusts no request: names are looked up in its own scan of the configured roots, so that nothing outside them can be
opened whoever writes to its stdin.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from typing import Any, TextIO

from diag.case import Case
from diag.catalogue import scan
from diag.errors import Cancelled, InputError, in_words
from diag.evidence.records import write_record
from diag.jobs.protocol import parse
from diag.results import codec
from diag.settings import load_settings

# A message at most this often: a page polls twice a second, and the pipe is not for logging.
PROGRESS_STEP = 0.005


class Worker:
    """Runs one request at a time; cancelling takes effect at the next batch of sequences."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.requests: queue.Queue[dict[str, Any]] = queue.Queue()
        self.cancelled: set[str] = set()

    def send(self, **message: Any) -> None:
        """One line to the page process."""
        self.out.write(codec.dumps(message) + "\n")
        self.out.flush()

    def listen(self, stdin: TextIO) -> None:
        """Read until the page process is gone, then end at once, also in the middle of a job: no orphans."""
        for line in stdin:
            message = parse(line) or {}
            if message.get("do") == "cancel":
                self.cancelled.add(str(message.get("job")))
            elif message.get("do") == "run":
                self.cancelled.discard(str(message.get("job")))  # a cancel that came too late for the run before
                self.requests.put(message)
        os._exit(0)

    def run_forever(self) -> None:
        """Answer requests, one after the other."""
        from diag.jobs import tasks  # torch and transformers: seconds and hundreds of MB, in this process only

        self.send(**{"is": "ready", "pid": os.getpid(), "versions": tasks.versions()})
        while True:
            request = self.requests.get()
            self.answer(request)

    def answer(self, request: dict[str, Any]) -> None:
        """Run one request to its last message; whatever happens, there is exactly one."""
        job = str(request.get("job"))
        try:
            self.send(**{"is": "done", "job": job, "record": self._run(job, request)})
        except Cancelled:
            self.send(**{"is": "cancelled", "job": job, "error": "Stopped on request; nothing was recorded."})
        except InputError as error:
            self.send(**{"is": "failed", "job": job, "error": str(error)})
        except Exception as error:  # the next job must still run
            traceback.print_exc()
            says = f"{in_words(error)} The server's log has the details."
            self.send(**{"is": "failed", "job": job, "error": says})
        finally:
            self.cancelled.discard(job)

    def _run(self, job: str, request: dict[str, Any]) -> str:
        from diag.jobs import tasks
        from diag.jobs.inputs import open_inputs

        said = -1.0

        def say(fraction: float | None, text: str) -> None:
            nonlocal said
            if job in self.cancelled:
                raise Cancelled
            if fraction is not None and fraction - said >= PROGRESS_STEP:
                said = fraction
                self.send(**{"is": "progress", "job": job, "fraction": fraction, "text": text})

        settings = load_settings()  # anew for each job, as every page reads them anew
        case = Case.from_query(request["case"])
        inputs = open_inputs(case, scan(settings).resolve)
        ids = tuple(str(i) for i in request.get("ids", ()))
        result = tasks.read(inputs, say).baseline if request.get("kind") == "measure" else tasks.test(inputs, ids, say)
        record = tasks.record(inputs, result)
        write_record(settings.evidence_dir, record)
        return record.id


def main() -> None:
    """Keep stdout for messages: whatever a library prints goes to stderr."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    worker = Worker(out)
    threading.Thread(target=worker.listen, args=(sys.stdin,), daemon=True).start()
    worker.run_forever()


if __name__ == "__main__":
    main()
