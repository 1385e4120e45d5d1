"""Commands of the project in forked children of this process, which has imported what they need."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

APPS = {"mlff": "mlff.cli", "md-drivers": "md_drivers.cli", "equijump": "md_drivers.jumps.cli"}
_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PIPE = 1 << 20  # bytes; nobody reads before the end
_PATIENCE = 600.0  # s

Hook = Callable[[], None]


@dataclass(frozen=True)
class Ending:
    """How a command ended: exit status, or minus the signal, or None where it hung and was killed; what it printed."""

    status: int | None
    text: str

    @property
    def last(self) -> str:
        """The last line."""
        return (self.text.strip().splitlines() or [""])[-1]

    @property
    def fault(self) -> str:
        """What no ending may show, a hang or a traceback; empty if it does not."""
        if self.status is None:
            return f"hung: {self.last}"
        return f"traceback: {self.last}" if "Traceback (most recent call last)" in self.text else ""


class Child:
    """A command at work; ``before`` is called in the child first."""

    def __init__(self, words: Sequence[str], before: Hook | None = None) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._output, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE)
        self.pid = os.fork()
        if self.pid == 0:
            _be(words, write, before)
        os.close(write)
        os.set_blocking(self._output, False)

    def send(self, number: int, group: bool = False) -> None:
        """A signal to the process, or to it and its workers."""
        try:
            (os.killpg if group else os.kill)(self.pid, number)
        except ProcessLookupError:  # a group that is not there yet, a process that has ended
            os.kill(self.pid, number)

    def ending(self) -> Ending:
        """Wait for it."""
        descriptor = os.pidfd_open(self.pid)
        hung = True
        try:
            hung = not select.select([descriptor], [], [], _PATIENCE)[0]
        finally:  # Ctrl-C, too
            os.close(descriptor)
            if hung:
                self.send(signal.SIGKILL, group=True)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        parts = []
        try:
            while part := os.read(self._output, _PIPE):
                parts.append(part)
        except BlockingIOError:  # workers hold the other end
            pass
        os.close(self._output)
        return Ending(None if hung else status, b"".join(parts).decode(errors="replace"))


def run(words: Sequence[str], before: Hook | None = None, signals: Sequence[tuple[float, int, bool]] = ()) -> Ending:
    """A command to its end; ``signals`` are sent after so many seconds each, true: to its workers, too."""
    child = Child(words, before)
    for delay, number, group in signals:
        time.sleep(delay)
        child.send(number, group)
    return child.ending()


def _be(words: Sequence[str], output: int, before: Hook | None) -> None:
    status = 1
    try:
        os.setpgid(0, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        sys.argv = list(words)
        app = import_module(APPS[words[0]]).app
        signal.signal(signal.SIGINT, signal.default_int_handler)
        (before or (lambda: None))()
        app(list(words[1:]))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # when the command had ended already
        status = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def imported(words: Sequence[str]) -> None:
    """Import into this process what a command needs, as told by a child that runs it to its end."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE)

    def tell() -> None:
        exit_now = os._exit

        def leave(status: int) -> None:
            os.write(write, "\n".join(sys.modules).encode())
            exit_now(status)

        os._exit = leave  # type: ignore[assignment]

    ending = run(words, tell)
    os.close(write)
    names = os.read(read, _PIPE).decode().split()
    os.close(read)
    if ending.fault or ending.status not in (0, 3):
        raise RuntimeError(f"{' '.join(words)}: {ending.text}")
    for name in names:
        try:
            import_module(name)
        except Exception:  # made on the fly; the commands make their own
            continue


def at_changes(folder: Path, act: Callable[[int, str], None]) -> Hook:
    """Call ``act`` with a number, from 1, and a kind before each change of files in a folder that Python knows of."""

    def before() -> None:
        root, seen, within = str(folder), 0, False

        def audit(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen, within
            if within or event not in _EVENTS or not any(str(part).startswith(root) for part in arguments[:2]):
                return
            if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES):
                return
            seen += 1
            within = True
            try:
                act(seen, event)
            finally:
                within = False

        sys.addaudithook(audit)

    return before


def counted(work: Callable[[Callable[[], None]], object]) -> int:
    """How often children, which ``work`` starts and waits for, call what it is given."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE)
    work(lambda: os.write(write, b"x") and None)
    os.close(write)
    count = len(os.read(read, _PIPE))
    os.close(read)
    return count


def changes(words: Sequence[str], folder: Path) -> int:
    """How often a command changes files in a folder."""
    return counted(lambda tell: run(words, at_changes(folder, lambda number, kind: tell())))


def killed_at(folder: Path, change: int) -> Hook:
    """SIGKILL before the change of that number."""
    return at_changes(folder, lambda number, _: os.kill(os.getpid(), signal.SIGKILL) if number == change else None)


def full_at(folder: Path, first: int, last: int) -> Hook:
    """ENOSPC at the changes from ``first`` to ``last`` that need space."""

    def act(number: int, kind: str) -> None:
        if first <= number <= last and kind not in ("os.remove", "os.rmdir", "os.truncate"):
            raise OSError(28, os.strerror(28), str(folder))

    return at_changes(folder, act)


def vanished_at(folder: Path, change: int) -> Hook:
    """The folder is removed before the change of that number."""
    return at_changes(folder, lambda number, _: shutil.rmtree(folder, ignore_errors=True) if number == change else None)


def limited(size: int, handler: signal.Handlers) -> Hook:
    """No file grows beyond so many bytes: SIG_DFL: the process dies in the middle of a write; SIG_IGN: EFBIG."""

    def before() -> None:
        signal.signal(signal.SIGXFSZ, handler)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return before
