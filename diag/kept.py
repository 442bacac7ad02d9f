"""Results that this process keeps for whoever asks again: the last few, under keys that say all they depend on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The last results, for every thread."""

    def __init__(self, most: int) -> None:
        self._results: OrderedDict[K, V] = OrderedDict()
        self._making: dict[K, threading.Lock] = {}
        self._most = most
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The result for this key, if it is still here."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def put(self, key: K, result: V) -> None:
        """Keep it, in place of the one that was asked for longest ago."""
        with self._lock:
            self._results[key] = result
            while len(self._results) > self._most:
                self._results.popitem(last=False)

    def of(self, key: K, make: Callable[[], V]) -> V:
        """The result, made when it is not here: by one thread, while others that ask for it wait. What `make` raises
        ends that thread's call only, and the next makes it."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                found = self.get(key)
                if found is None:
                    found = make()
                    self.put(key, found)
                return found
        finally:
            with self._lock:
                self._making.pop(key, None)
