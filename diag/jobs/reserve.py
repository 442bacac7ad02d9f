"""The reserve: a process whose imports are done, from which workers are forked. Ends with the server's end of stdin.

    python -m diag.jobs.reserve MODULE     stdin: a Unix socket of packets; MODULE: whose `main` a worker runs

To it: the environment of a slot, with the worker's two pipes. From it: the pid, with a handle (pidfd) that names that
process and no other; and of a worker that ended, its exit code. It uses nothing of what it imported: a fork copies one
thread and no CUDA context, so there may be none of either before it. It tries that on itself before it says Ready.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

# Nothing of ours up here: until `main` runs, nothing ends this process with its server.
POISONED = 70  # exit code, as the worker's
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2): what this process gets when the one that started it ends


def main() -> None:
    """Until the server's end is closed."""
    # Also while it imports, and reads nothing. The thread that started it lives as long as the server does.
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    server = socket.socket(fileno=os.dup(0))
    if select.select([server], [], [], 0)[0]:  # nothing is asked before Ready: it had ended already
        return
    from diag.jobs.slots import GENTLE
    from diag.jobs.worker import step_back

    if GENTLE in os.environ:
        step_back()
    worker = importlib.import_module(sys.argv[1])
    from diag.jobs import tasks  # noqa: F401  (torch, and all that a job needs)

    gc.collect()
    gc.freeze()  # a collection in a worker would write to every page that is shared with it
    if not _forks():
        sys.exit(POISONED)
    with suppress(ConnectionError):  # the server has gone
        server.send(json.dumps({"ready": True}).encode())
        _serve(server, worker.main)


def _serve(server: socket.socket, run: Callable[[], None]) -> None:
    from diag.jobs.forked import MOST_BYTES

    handles: dict[int, int] = {}  # of workers that run: pidfd → pid
    asks = server.fileno()
    while True:
        for readable in select.select([asks, *handles], [], [])[0]:
            if readable != asks:
                code = os.waitstatus_to_exitcode(os.waitpid(pid := handles.pop(readable), 0)[1])
                os.close(readable)
                server.send(json.dumps({"ended": pid, "code": code}).encode())
                continue
            asked, pipes, _, _ = socket.recv_fds(server, MOST_BYTES, 2)
            if not asked:
                return
            pid = os.fork()
            if pid == 0:
                for handle in (*handles, asks):
                    os.close(handle)
                _become(run, json.loads(asked), pipes)
            for pipe in pipes:
                os.close(pipe)
            handles[handle := os.pidfd_open(pid)] = pid
            socket.send_fds(server, [json.dumps({"pid": pid}).encode()], [handle])


def _forks() -> bool:
    """Whether CUDA can be used in a fork of this process."""
    import torch

    pid = os.fork()
    if pid == 0:
        os._exit(POISONED if torch.cuda._is_in_bad_fork() else 0)
    return not torch.cuda.is_initialized() and os.waitpid(pid, 0)[1] == 0  # type: ignore[no-untyped-call]


def _become(run: Callable[[], None], environment: dict[str, str], pipes: Sequence[int]) -> NoReturn:
    """A worker of a slot. CUDA reads which devices there are when it is first used, torch how many threads when it is
    imported."""
    import torch

    try:
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number)
            os.close(pipe)
        os.environ.update(environment)
        if threads := environment.get("OMP_NUM_THREADS"):
            torch.set_num_threads(int(threads))
        run()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
