"""Applies load to a contender: prepares request bodies and plans, and runs the load generator as a process."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.enrolment import COLLECTION
from benchmarks.common.service import figures_of
from benchmarks.load.contenders import Contender
from benchmarks.load.generator import Plan, write_plan


class LoadDriver:
    """Searches with the same images, step by step.

    Args:
        folder: for bodies and plans; made if it does not exist.
        pictures: sent in turn.
        faces: ``largest`` or ``all``, the faces of an image that are searched.
    """

    def __init__(self, folder: Path, pictures: Sequence[bytes], faces: str = "largest") -> None:
        folder.mkdir(exist_ok=True)
        self._plan = folder / "plan.json"
        boundary = uuid.uuid4().hex
        self._type = f"multipart/form-data; boundary={boundary}"
        self._bodies = []
        for number, picture in enumerate(pictures):
            path = folder / f"body-{number}"
            path.write_bytes(multipart(boundary, picture, faces))
            self._bodies.append(str(path))

    def apply(
        self,
        contender: Contender,
        seconds: float,
        clients: int = 0,
        rate: float = 0.0,
        samples: bool = False,
        warm_up: float = 0.5,
    ) -> dict[str, Any]:
        """Run one step of load, see :class:`Plan`; its figures, with processor milliseconds of each request.

        Raises:
            RuntimeError: the load generator failed; the message has its output.
        """
        headers = {**contender.headers, "Content-Type": self._type}
        plan = Plan(contender.url, headers, self._bodies, seconds, warm_up, clients=clients, rate=rate, samples=samples)
        write_plan(plan, self._plan)
        used, own = contender.cpu_seconds(), _children_seconds()
        figures = figures_of("benchmarks.load.generator", str(self._plan), timeout_s=seconds + 120)
        spent = sum(seconds - used.get(pid, 0.0) for pid, seconds in contender.cpu_seconds().items())
        figures["cpu_ms"] = round(spent / max(1, figures["altogether"]) * 1e3, 2)
        figures["generator_cpu_ms"] = round((_children_seconds() - own) / max(1, figures["altogether"]) * 1e3, 2)
        return figures


def multipart(boundary: str, picture: bytes, faces: str = "largest") -> bytes:
    """The form of one search for the largest face, or for ``all``."""
    disposition = "Content-Disposition: form-data; name="
    parts = (
        f'--{boundary}\r\n{disposition}"collections"\r\n\r\n{COLLECTION}\r\n'.encode(),
        f'--{boundary}\r\n{disposition}"faces"\r\n\r\n{faces}\r\n'.encode(),
        f'--{boundary}\r\n{disposition}"image"; filename="probe.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'.encode(),
        picture,
        f"\r\n--{boundary}--\r\n".encode(),
    )
    return b"".join(parts)


def _children_seconds() -> float:
    """Processor seconds of child processes that have ended, such as the load generator."""
    times = os.times()
    return times.children_user + times.children_system
