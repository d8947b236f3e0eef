"""The file a backup is: written whole or not at all, and read with suspicion."""

import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path

from dashboard.backups import BackupError
from dashboard.backups.sealed import Opening, Sealing, check_passphrase, damaged, is_sealed

FORMAT = 1
MANIFEST = "manifest.json"
PARTS = {"database.sqlite3", "database.dump", "secret_key"}
DRAFT = ".counterfoil-backup-"
BLOCK = 1 << 20


# --- a folder to work in -----------------------------------------------------------------------------------
@contextmanager
def draft_folder(beside):
    """A folder of our own in the folder `beside`, gone when the block ends; of one that was killed, the next one clears up."""
    _clear_up(beside)
    folder = Path(tempfile.mkdtemp(prefix=DRAFT, dir=beside))  # for its owner alone
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder):
    """Hold a folder's lock, which goes with the process. Raises BlockingIOError when somebody works in it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _clear_up(beside):
    for old in Path(beside).glob(DRAFT + "*"):
        with suppress(OSError), _locked(old):
            if old.stat().st_mtime < time.time() - 1:  # not one that is about to be locked
                shutil.rmtree(old, ignore_errors=True)


# --- writing -----------------------------------------------------------------------------------------------
def write(path, manifest, parts, *, passphrase=""):
    """Write {name: file} and a manifest to path: by way of a draft, so that half a backup never has its name."""
    if passphrase:
        check_passphrase(passphrase)
    manifest = manifest | {"format": FORMAT, "parts": {name: _measured(part) for name, part in parts.items()}}
    draft = next(iter(parts.values())).parent / "archive"
    with open(draft, "xb", opener=_private) as file:
        _fill(file, json.dumps(manifest, indent=1).encode(), parts, passphrase)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    _sync_folder(path.parent)
    return manifest


def _private(path, flags):
    return os.open(path, flags, 0o600)


def _sync_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def _measured(path):
    with open(path, "rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _fill(file, manifest, parts, passphrase):
    with (
        Sealing(file, passphrase) if passphrase else _kept_open(file) as target,
        gzip.GzipFile(fileobj=target, mode="wb", compresslevel=4, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        about = tarfile.TarInfo(MANIFEST)
        about.size, about.mode = len(manifest), 0o600
        tar.addfile(about, io.BytesIO(manifest))
        for name, part in parts.items():
            _add(tar, name, part)


@contextmanager
def _kept_open(file):
    yield file


def _add(tar, name, path):
    about = tarfile.TarInfo(name)
    about.size, about.mode = path.stat().st_size, 0o600
    with open(path, "rb") as file:
        tar.addfile(about, file)


# --- reading -----------------------------------------------------------------------------------------------
def unpack(path, folder, *, passphrase=""):
    """Put the parts of the backup at path into folder and return its manifest. Every byte is checked.

    Raises BackupError for a file that is no backup, is damaged, or was encrypted with another passphrase.
    """
    try:
        with open(path, "rb") as file, _opened(file, passphrase) as source:
            with gzip.GzipFile(fileobj=source, mode="rb") as packed:
                manifest = _parts(packed, folder)
                while packed.read(BLOCK):  # to the end, where its checksum stands
                    pass
            if source.read(1):
                raise damaged()
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, KeyError, TypeError):
        raise damaged() from None
    return manifest


def _opened(file, passphrase):
    start = file.read(64)
    file.seek(0)
    if is_sealed(start):
        if not passphrase:
            raise BackupError("This backup is encrypted: set BACKUP_PASSPHRASE to the passphrase it was made with.")
        return io.BufferedReader(Opening(file, passphrase), BLOCK)
    if not start.startswith(b"\x1f\x8b"):
        raise BackupError("This is not a backup of Counterfoil, or its beginning is damaged.")
    return _kept_open(file)


def _parts(packed, folder):
    with tarfile.open(fileobj=packed, mode="r|") as tar:
        manifest = _manifest(tar)
        left = dict(manifest["parts"])
        while member := tar.next():
            expected = left.pop(member.name)
            if member.name not in PARTS or not member.isfile() or member.size != expected["bytes"]:
                raise damaged()
            _take(tar.extractfile(member), folder / member.name, expected["sha256"])
    if left:
        raise damaged()
    return manifest


def _manifest(tar):
    first = tar.next()
    if first is None or first.name != MANIFEST or first.size > 16 * BLOCK:
        raise BackupError("This is not a backup of Counterfoil.")
    manifest = json.loads(tar.extractfile(first).read())
    if manifest["format"] > FORMAT:
        raise BackupError("This backup was made by a newer version of Counterfoil. Update this installation first.")
    return manifest


def _take(source, path, sha256):
    digest = hashlib.sha256()
    with open(path, "xb", opener=_private) as file:
        while block := source.read(BLOCK):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != sha256:
        raise damaged()
