"""Compiled loops where numba is installed; every caller has a NumPy version that gives the same numbers.

numba is imported when the first loop is needed: about half a second, which opening a shard should not cost.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TypeVar, cast

from diag.installation import CHECKOUT, default_dirs

F = TypeVar("F", bound=Callable[..., object])


@cache
def available() -> bool:
    """Whether numba is installed. Does not import it."""
    return find_spec("numba") is not None


@cache
def compiled(function: F, reorder: tuple[str, ...] = ()) -> F:
    """`function` as machine code that runs without the interpreter lock, so that threads count side by side.

    `reorder`: LLVM's fast-math flags; without any, floating-point sums are added strictly one after the other.
    Compiled for the types of its first call (about 0.5 s) and kept on disk: beside the source in a checkout, in the
    user's cache when installed; where that cannot be written, it is compiled anew in each process.
    """
    if CHECKOUT is None:
        os.environ.setdefault("NUMBA_CACHE_DIR", str(default_dirs()["cache_dir"] / "numba"))  # read at numba's import
    from numba import njit

    fast = set(reorder)
    try:
        return cast(F, njit(nogil=True, cache=True, fastmath=fast)(function))
    except RuntimeError:  # numba found no place for its cache
        return cast(F, njit(nogil=True, fastmath=fast)(function))
