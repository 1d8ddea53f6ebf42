"""Progress of long-running commands: a bar on a terminal, otherwise a line every 30 s."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from serve_app.cli.output import note, stderr

LINE_EVERY_S = 30.0


class Meter:
    """Counts images and shows the progress.

    Args:
        total: number of images.
        bar: progress bar to update; None prints lines.
    """

    def __init__(self, total: int, bar: Progress | None) -> None:
        self._total = total
        self._done = self._skipped = 0
        self._started = self._said = time.monotonic()
        self._bar = bar
        self._task = bar.add_task("Images", total=total) if bar else None

    def skip(self, number: int) -> None:
        """Count images that needed no work; they do not count for the rate."""
        self._skipped += number
        if self._bar and self._task is not None:
            self._bar.update(self._task, total=self._total - self._skipped)

    def advance(self, number: int) -> None:
        """Count images that are done."""
        self._done += number
        if self._bar and self._task is not None:
            self._bar.advance(self._task, number)
        elif time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            note(self.line())

    def line(self) -> str:
        """The progress as a line of text."""
        rate = self.rate
        left = self._total - self._skipped - self._done
        rest = f", {_duration(left / rate)} left" if rate and left else ""
        return f"{self._done:,} of {self._total - self._skipped:,} images, {rate:.1f}/s{rest}"

    @property
    def rate(self) -> float:
        """Images per second since the start."""
        return self._done / max(time.monotonic() - self._started, 1e-3)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


@contextlib.contextmanager
def progress(pictures: int) -> Iterator[Meter]:
    """A meter that is shown while the context is open."""
    if not stderr.is_terminal:
        yield Meter(pictures, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=stderr) as bar:
        yield Meter(pictures, bar)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
