"""What a user sees while the testbed works, and the log that keeps every command.

Each phase is one line with its elapsed time; on a terminal the newest log line
is shown beside it. The whole log goes to a file, commands as ``$ ...`` lines
that can be pasted.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from orchestrator.commands import Log

__all__ = ["Progress"]


class Progress:
    """Phases on the console, everything in a log file. Safe to log from several threads."""

    def __init__(self, console: Console, log_file: Path) -> None:
        self.console = console
        self._lock = threading.Lock()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file = log_file
        self._files = [log_file.open("w", encoding="utf-8", buffering=1)]
        self._bar: Bar | None = None
        self._started = time.monotonic()

    @classmethod
    def of_command(cls, what: str) -> Self:
        """That of the command ``what``, with its log in this checkout."""
        from orchestrator.artifacts.context import checkout

        name = f"{time.strftime('%Y%m%dT%H%M%S')}-{what}-{os.getpid()}.log"
        return cls(Console(), checkout() / ".testbed/log" / name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for file in self._files:
            file.close()

    def also_to(self, path: Path) -> None:
        """Keep the log there too, what was logged so far included (a run's folder)."""
        with self._lock:
            kept = path.open("a", encoding="utf-8", buffering=1)
            with self.log_file.open(encoding="utf-8") as so_far:
                shutil.copyfileobj(so_far, kept)
            self._files.append(kept)

    def log(self, line: str) -> None:
        """One line for the log file, and for the running phase on a terminal."""
        stamp = f"{time.monotonic() - self._started:9.2f}  "
        with self._lock:
            for file in self._files:
                # a command stands alone on its line, ready to be pasted
                file.write(f"{line}\n" if line.startswith("$ ") else f"{stamp}{line}\n")
            if self._bar is not None:
                self._bar.update(self._bar.tasks[0].id, newest=escape(line.splitlines()[0][:100]))

    @contextmanager
    def phase(self, title: str) -> Iterator[Log]:
        """A named piece of work: shown while it runs, and with its time when it ends."""
        started = time.monotonic()
        self.log(f"== {title}")
        try:
            if self.console.is_terminal:
                with self._live(title):
                    yield self.log
            else:
                self.console.print(f"… {title}", highlight=False)
                yield self.log
        except BaseException:
            self._end("[red]✗[/]", title, started)
            raise
        self._end("[green]✓[/]", title, started)

    def _end(self, mark: str, title: str, started: float) -> None:
        seconds = time.monotonic() - started
        self.log(f"== {title}: {seconds:.1f} s")
        self.console.print(f"{mark} {title} [dim]{seconds:.1f} s[/]", highlight=False)

    @contextmanager
    def _live(self, title: str) -> Iterator[None]:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[newest]}"),
        )
        with Bar(*columns, console=self.console, transient=True) as bar:
            bar.add_task(title, total=None, newest="")
            self._bar = bar
            try:
                yield
            finally:
                self._bar = None
