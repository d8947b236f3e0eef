"""Backups of the configured database, taken while everything runs, restored beside what is there and swapped in.

A backup is one file: a gzipped tar of a manifest (what it holds, with a SHA-256 of each part) and the database, as a
SQLite file or a `pg_dump` archive; encrypted as a whole when a passphrase is given (sealed.py). It stands under its
name only when it is whole and on the disk.
"""


class BackupError(Exception):
    """A sentence the person at the terminal can act on."""
