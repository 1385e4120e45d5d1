"""Worker processes of one thread each, which count what they make and stop when they are told to."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from mlff.support.console import this_command
from mlff.support.errors import Interrupted, RunError

_LOOK_EVERY = 0.2  # s, at what the workers have made and at requests to stop

J = TypeVar("J")


def run_jobs(
    work: Callable[..., object],
    waiting: Callable[[Collection[J]], Sequence[J]],
    arguments: Callable[[J], tuple[object, ...]],
    *,
    workers: int,
    made: int,
    on_done: Callable[[J], None],
    on_look: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> None:
    """Call a function for every job in processes, until none waits and none runs.

    When this ends, by an exception too, what runs ends at its next :func:`count`, and what waits never starts.

    Args:
        work: function of a module, which calls :func:`count`.
        waiting: jobs that may begin, the most urgent first, given those that run.
        arguments: of ``work`` for a job.
        workers: processes.
        made: from which on workers count.
        on_done: called with each finished job.
        on_look: called several times a second with how many have been counted.
        should_stop: looked at as often.

    Raises:
        Interrupted: ``should_stop`` said so.
        RunError: a worker was killed.
        Exception: of the first job that fails.
    """
    # spawn: a forked process would inherit the threads and locks of libraries in this one.
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", made), context.Event()
    running: dict[Future[object], J] = {}
    with ProcessPoolExecutor(workers, context, _begin, (counter, stop)) as pool:
        try:
            while True:
                for job in waiting(running.values())[: workers - len(running)]:
                    running[pool.submit(work, *arguments(job))] = job
                if not running:
                    return
                finished, _ = wait(running, _LOOK_EVERY, FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    on_done(running.pop(future))
                on_look(counter.value)
                if should_stop():
                    raise Interrupted(message="stopped")
        except BrokenProcessPool as broken:
            if should_stop():  # a signal to the whole process group, as batch systems send it
                raise Interrupted(message="stopped") from broken
            raise RunError(f"a worker process was killed (out of memory?); continue with: {this_command()}") from broken
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def count(number: int = 1) -> None:
    """Count what this worker has made.

    Raises:
        Interrupted: the jobs have ended, or the process that started them.
    """
    with _Worker.counter.get_lock():
        _Worker.counter.value += number
    parent = multiprocessing.parent_process()
    if _Worker.stop.is_set() or parent is None or not parent.is_alive():
        raise Interrupted


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
