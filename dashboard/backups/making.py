"""Make a backup, and keep the newest few."""

import hashlib
import hmac
import re
import sqlite3
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from dashboard.backups import BackupError, archive
from dashboard.backups.databases import database_of

NAME = re.compile(r"counterfoil-\d{8}-\d{6}-\d{3}\.backup")  # the names we give; others are nobody's to remove


def stamp(now=None):
    """A moment in UTC, to the millisecond, as part of a name; names sort as moments do."""
    now = now or datetime.now(UTC)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03}"


def version():
    """The version of this installation."""
    return tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]["version"]


def key_mark(key):
    """Tells whether two installations have the same SECRET_KEY, without telling it."""
    return hmac.digest(key.encode(), b"counterfoil.backup", "sha256").hex()[:16]


def make_backup(connection, target=None, *, keep=0, passphrase="", with_secret_key=False):
    """Back up a connection's database into a file, or under a name of ours into a folder; returns (path, manifest).

    keep: remove the older of our names in that folder, so that so many are left; 0 removes none. Raises BackupError.
    """
    path = _path(target)
    if with_secret_key and not passphrase:
        raise BackupError("A secret key leaves this machine encrypted only: add --encrypt, or back it up by itself.")
    try:
        with archive.draft_folder(path.parent) as folder:
            manifest = _into(path, connection, folder, passphrase, with_secret_key)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"The backup could not be made: {getattr(error, 'strerror', None) or error}.") from error
    if keep:
        remove_older(path, keep)
    return path, manifest


def _into(path, connection, folder, passphrase, with_secret_key):
    database = database_of(connection)
    parts = {database.part: folder / database.part}
    about = {"made_at": datetime.now(UTC).isoformat(timespec="seconds"), "version": version(), "database": database.kind}
    about |= database.dump(parts[database.part]) | {"key": key_mark(settings.SECRET_KEY)}
    if with_secret_key:
        parts["secret_key"] = folder / "secret_key"
        parts["secret_key"].write_text(settings.SECRET_KEY)
    return archive.write(path, about, parts, passphrase=passphrase)


def _path(target):
    """The file to make. Raises BackupError when it is there already or its folder is not."""
    folder = settings.DATA_DIR / "backups"
    if target is None:
        folder.mkdir(mode=0o700, exist_ok=True)
    path = Path(target or folder).absolute()
    if path.is_dir():
        path = path / f"counterfoil-{stamp()}.backup"
    if not path.parent.is_dir():
        raise BackupError(f"There is no folder {path.parent}. Make it, or choose another one.")
    if path.exists():
        raise BackupError(f"{path} exists already. Choose another name: a backup is never written over.")
    return path


def remove_older(path, keep):
    """Remove all backups under our own names in path's folder but the newest `keep`. Raises BackupError for another name."""
    if not NAME.fullmatch(path.name):
        raise BackupError(f"{path} was made. None was removed: --keep counts backups in a folder, so name a folder, not a file.")
    ours = sorted((p for p in path.parent.iterdir() if NAME.fullmatch(p.name)), key=lambda p: p.name)
    for old in ours[:-keep]:
        old.unlink()


def digest_of(path):
    """The SHA-256 of a file, as `sha256sum` prints it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
