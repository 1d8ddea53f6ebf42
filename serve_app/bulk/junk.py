"""Files and folders that operating systems and file servers leave in every folder; nobody means to enrol them."""

from __future__ import annotations

JUNK = frozenset(
    {
        "__macosx",
        "icon\r",
        "network trash folder",
        "temporary items",
        "$recycle.bin",
        "desktop.ini",
        "ehthumbs.db",
        "recycler",
        "system volume information",
        "thumbs.db",
        "#recycle",
        "#snapshot",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "lost+found",
    }
)
"""Names in lower case: of macOS, Windows, Synology, QNAP and Linux."""


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is left by a system, or hidden (``.DS_Store``, ``._a.jpg``)."""
    return name.startswith(".") or name.lower() in JUNK
