"""The private folder of what runs: Unix sockets, Ray's files and token, the addresses of running services.

Ray opens its own folders to all users, so they must be below one that only this user can enter. The path of a Unix
socket has 107 bytes at most, so that folder is not in the data folder. It is not in ``XDG_RUNTIME_DIR`` either, which
is removed when the user logs out, even while a service runs on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from serve_app.errors import ConfigurationError

LONGEST = 36
"""Most bytes of the folder's path, so that the paths of sockets in it have 107 at most: Ray appends up to 64 to that of
its own folder."""

USUAL = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # the folder in them is checked

_ADDRESS = "address_"


def runtime_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Create the folder ``facegraph-UID`` unless it exists, and return it; it belongs to this user alone (mode 0700).

    It is in the first of ``RAY_TMPDIR``, ``TMPDIR``, ``/tmp``, ``/var/tmp`` and ``/dev/shm`` that is short and
    writable. A ``RAY_TMPDIR`` that is private itself is taken as it is. Raises ConfigurationError if none can be used.
    """
    named = environment.get("RAY_TMPDIR")
    if named and len(os.fsencode(named)) <= LONGEST and Path(named).is_absolute() and _fault(Path(named)) is None:
        return Path(named)
    faults = []
    parents = [Path(name).absolute() for name in (named, environment.get("TMPDIR"), *USUAL) if name]
    # Where others can replace a folder of this user, it is made only if there is no other place, as in some containers.
    for parent in sorted(dict.fromkeys(parents), key=_others_can_rename):
        folder = parent / f"facegraph-{os.getuid()}"
        if len(os.fsencode(folder)) > LONGEST:
            faults.append(f"{parent}: too long for the names of sockets")
            continue
        try:
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        except OSError as error:
            faults.append(f"{parent}: {error.strerror}")
            continue
        fault = _fault(folder)
        if fault is None:
            return folder
        faults.append(f"{folder}: {fault}")
    raise ConfigurationError(
        "A private folder is needed for sockets and for Ray's files, and none of these can be used: "
        f"{'; '.join(faults)}. Set RAY_TMPDIR to a folder of this user with mode 0700 and a short path."
    )


def _fault(folder: Path) -> str | None:
    """Why the folder is not a private one of this user; None if it is."""
    try:
        found = folder.lstat()
    except OSError as error:
        return error.strerror
    if not stat.S_ISDIR(found.st_mode):
        return "a link or a file, where a folder was expected"
    if found.st_uid != os.getuid():
        return "another user's"
    if found.st_mode & 0o077:
        return f"open to other users (mode {stat.S_IMODE(found.st_mode):04o}, 0700 was expected)"
    return None if os.access(folder, os.W_OK | os.X_OK) else "read-only"


def _others_can_rename(parent: Path) -> bool:
    with contextlib.suppress(OSError):
        found = parent.stat()
        return bool(found.st_mode & 0o022) and not found.st_mode & stat.S_ISVTX
    return False


def token_file(folder: Path) -> Path:
    """The file with the token of this user's Rays in the private folder; a new token is made unless there is one."""
    return _made_once(folder / "ray_token", lambda: secrets.token_hex(32).encode())


def certificate_file(folder: Path) -> Path:
    """The file with the key and the certificate by which the processes of this user's Rays recognise each other."""
    return _made_once(folder / "ray_tls.pem", _key_and_certificate)


def _made_once(file: Path, make: Callable[[], bytes]) -> Path:
    new = file.with_name(f"{file.name}_{os.getpid()}")
    if not file.exists():
        new.touch(0o600)
        new.write_bytes(make())
        with contextlib.suppress(FileExistsError):  # another process has made one just now
            os.link(new, file)
        new.unlink()
    return file


def _key_and_certificate() -> bytes:
    """A key and a certificate that it has signed itself, as PEM, for this machine's loopback address."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "facegraph")])
    names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))  # whatever the machine's clock says
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    without_password = serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, without_password) + certificate.public_bytes(pem)


@contextmanager
def announced(folder: Path, address: str) -> Iterator[None]:
    """Let :func:`announced_address` find the address of this process's Ray, as long as this process runs."""
    file, new = folder / f"{_ADDRESS}{os.getpid()}", folder / f"new_{_ADDRESS}{os.getpid()}"
    with new.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)  # ends with this process, whatever ends it
        opened.write(address)
        opened.flush()
        new.replace(file)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def announced_address(folder: Path) -> str | None:
    """The address of the service that started last and still runs; None if there is none.

    Files of services that were killed are removed: any user could listen at their addresses and be shown the token.
    """
    found = []
    for file in folder.glob(f"{_ADDRESS}*"):
        with contextlib.suppress(FileNotFoundError), file.open() as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append((os.fstat(opened.fileno()).st_mtime, opened.read()))
            else:
                file.unlink(missing_ok=True)
    return max(found)[1] if found else None
