"""Calls of programs that are not trusted to end, in processes of their own."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def run_limited(function: Callable[[str], str], argument: str, *, seconds: float) -> str:
    """What a function returns that runs in another process, which is ended after a time.

    Args:
        function: of a module, that catches its errors.
        argument: given to it.
        seconds: that it may take.

    Raises:
        TimeoutError: it took longer.
        RuntimeError: its process ended before it returned.
    """
    # A split process knows what this one has imported and registered; elsewhere than on Linux that is not safe.
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, function, argument), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of splitting a process that has threads
        process.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise TimeoutError(f"its program did not end within {seconds:g} s")
        return receiver.recv_bytes().decode()
    except EOFError as error:
        process.join()
        raise RuntimeError(f"its program ended its process (status {process.exitcode})") from error
    finally:
        process.kill()
        process.join()
        receiver.close()


def _send(sender: Connection, function: Callable[[str], str], argument: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, and ends this one
    sender.send_bytes(function(argument).encode())
