"""NumPy's matrix products on one thread, for many small ones in a row.

OpenBLAS threads spin while they wait: the layout scores of a 1 GB file took 1.5 s of processor time with two of them,
and 0.3 s with one, on two cores. The environment variable for it is read when NumPy is loaded, which others do first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """For the body, in all threads of this process. Does nothing where threadpoolctl is not installed."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1, user_api="blas"):
        yield
