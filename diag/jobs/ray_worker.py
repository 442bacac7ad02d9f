"""A worker on a node of a Ray cluster: an actor that holds the same process and passes its lines on.

    seat ─ RayWorker ═ Ray ═ Relay on a node ─ WorkerProcess ─ diag.jobs.worker

So messages, heartbeat, cancelling and records are those of a local worker. Where the node dies the worker is `lost`,
and the seat gives its job to another one, on another node.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import Any

from diag.jobs import ray_engine
from diag.jobs.process import WorkerProcess
from diag.jobs.protocol import Message, parse, to_line
from diag.jobs.slots import Slot

_LOOK = 0.5  # seconds that the actor waits for a line before it says that there is none
GONE = -9  # exit code of a worker whose node died


class Relay:
    """The actor. Lines, and not messages, cross the cluster: their version is checked at both ends."""

    def __init__(self) -> None:
        self.worker = WorkerProcess(Slot("ray", False))

    def send(self, line: str) -> None:
        """One line to the worker."""
        if message := parse(line):
            self.worker.send(message)

    def receive(self) -> tuple[list[str], float, bool, int]:
        """What it said since the last call, waiting half a second for it, "" where it has ended; for how long it has
        said nothing; whether it is ready; its process id."""
        lines: list[str] = []
        with suppress(queue.Empty):
            message = self.worker.receive(_LOOK)
            while True:
                if message is None:
                    return [*lines, ""], 0.0, self.worker.ready, self.worker.pid
                lines.append(to_line(message))
                message = self.worker.receive(0.0)
        return lines, self.worker.silent, self.worker.ready, self.worker.pid

    def end(self) -> int:
        """Kill it."""
        self.worker.kill()
        return self.worker.wait()


class RayWorker:
    """As a seat holds it. It takes a GPU of the cluster where its slot has one."""

    def __init__(self, slot: Slot, ray: Any) -> None:
        self.ready = self.lost = False
        self.pid = 0
        self._ray, self._ended = ray, False
        self._heard, self._silent = time.monotonic(), 0.0
        self._code = 0
        self._from_it: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        actor = ray.remote(num_cpus=0 if slot.gpu else 1, num_gpus=1 if slot.gpu else 0, max_concurrency=4)(Relay)
        self._actor = actor.remote()
        threading.Thread(target=self._read, name=f"worker on {slot.name}", daemon=True).start()

    @property
    def silent(self) -> float:
        """Seconds since it said anything: as its node counts them, and since the node answered."""
        return max(self._silent, time.monotonic() - self._heard - 2 * _LOOK)

    def running(self) -> bool:
        """Whether it is there, as far as the cluster knows."""
        return not self._ended

    def send(self, message: Message) -> None:
        """Hand it over; one to a worker that has just ended is lost."""
        with suppress(Exception):
            self._actor.send.remote(to_line(message))

    def receive(self, seconds: float) -> Message | None:
        """Its next message about a job. None at the end; queue.Empty if none comes within `seconds`."""
        return self._from_it.get(timeout=seconds)

    def kill(self) -> None:
        """End the process and the actor; what the cluster had given it is free again."""
        self._ended = True
        with suppress(Exception):
            self._actor.end.remote()
            self._ray.kill(self._actor)

    def wait(self) -> int:
        """The exit code, once it has ended; GONE where nobody knows it."""
        return self._code

    def _read(self) -> None:
        try:
            while True:
                lines, self._silent, self.ready, self.pid = self._ray.get(self._actor.receive.remote())
                self._heard = time.monotonic()
                for line in lines:
                    if not line:
                        self._code = self._ray.get(self._actor.end.remote())
                        self._finish()
                        return
                    if message := parse(line):
                        self._from_it.put(message)
        except Exception:  # RayActorError and its kin: the node, or the actor, is gone
            self.lost, self._code = not self._ended, GONE
            self._finish()

    def _finish(self) -> None:
        self._ended = True
        with suppress(Exception):
            self._ray.kill(self._actor)
        self._from_it.put(None)


def ray_slots(ray: Any, workers: int | None) -> tuple[Slot, ...]:
    """As slots.py divides a machine: one a GPU of the cluster, or one; a number of them, GPUs first."""
    gpus = ray_engine.gpus(ray)
    count = workers if workers is not None else max(1, gpus)
    return tuple(Slot(f"ray {i + 1}", i < gpus) for i in range(count))
