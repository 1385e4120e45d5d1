"""Worker processes of one thread each, which count what they make and stop when they are told to."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from mlff.sampling.errors import GenerationStopped

LOOK_EVERY = 0.2  # s, at what the workers have made and at requests to stop

_T = TypeVar("_T")


class WorkerPool:
    """Of :func:`worker_pool`."""

    def __init__(self, pool: ProcessPoolExecutor, counter: Any) -> None:
        self._pool, self._counter = pool, counter

    def submit(self, function: Callable[..., _T], *args: object) -> Future[_T]:
        """Call a function of a module in a worker, where it calls :func:`count`."""
        return self._pool.submit(function, *args)

    @property
    def made(self) -> int:
        """How many have been counted."""
        return int(self._counter.value)


@contextmanager
def worker_pool(workers: int, made: int, error: type[Exception]) -> Iterator[WorkerPool]:
    """Processes until the end of the block: then what runs ends at its next count, and what waits never starts.

    Args:
        made: from which on workers count.
        error: raised when a worker was killed.
    """
    # spawn: a forked process would inherit the threads and locks of libraries in this one.
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", made), context.Event()
    with ProcessPoolExecutor(workers, context, _begin, (counter, stop)) as pool:
        try:
            yield WorkerPool(pool, counter)
        except BrokenProcessPool as broken:
            raise error("a worker process was killed (out of memory?); the same command continues") from broken
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def count(number: int = 1) -> None:
    """Count what this worker has made.

    Raises:
        GenerationStopped: the block of the pool has ended, or the process that it belongs to.
    """
    with _Worker.counter.get_lock():
        _Worker.counter.value += number
    parent = multiprocessing.parent_process()
    if _Worker.stop.is_set() or parent is None or not parent.is_alive():
        raise GenerationStopped


class _Worker:
    """What a worker process was given at its start."""

    counter: Any = None
    stop: Any = None


def _begin(counter: Any, stop: Any) -> None:
    _Worker.counter, _Worker.stop = counter, stop
    # Ctrl-C reaches the whole process group; the first process decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Read by the libraries when they are loaded, which is after this; the compiler would start a pool where Triton is.
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")
    os.environ.update(dict.fromkeys(names, "1"))
