"""Encryption of a backup as a stream: AES-256-GCM in chunks, under a key scrypt makes of the passphrase.

Each chunk's nonce holds its number and whether it is the last (the STREAM construction of Hoang, Reyhanitabar,
Rogaway and Vizár, 2015): chunks that are altered, left out, swapped, repeated or cut off at the end do not decrypt.
"""

import io
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from dashboard.backups import BackupError

MAGIC = b"counterfoil encrypted backup 1\n"
CHUNK, TAG, SALT, PREFIX = 1 << 20, 16, 16, 7  # bytes
COST = 16  # scrypt's N is 2**COST: 64 MB and about a fifth of a second
WORST = 20  # what a file may ask of us
INNER, LAST, CHECK = 0, 1, 2  # what a nonce is used for
LEAST = 12  # characters of a passphrase


def is_sealed(start):
    """Whether a file that starts with these bytes is encrypted."""
    return start.startswith(MAGIC)


def check_passphrase(passphrase):
    """Raise BackupError for a passphrase nobody should rely on."""
    if len(passphrase) < LEAST:
        raise BackupError(f"BACKUP_PASSPHRASE is too short: use at least {LEAST} characters.")


class _Cipher:
    def __init__(self, passphrase, cost, salt, prefix):
        kdf = Scrypt(salt=salt, length=32, n=1 << cost, r=8, p=1)
        self.aead, self.prefix = AESGCM(kdf.derive(passphrase.encode())), prefix
        self.header = MAGIC + bytes([cost]) + salt + prefix
        self.count = 0

    def seal(self, data, use):
        return self.aead.encrypt(self._nonce(use), data, self.header)

    def open(self, data, use):
        return self.aead.decrypt(self._nonce(use), data, self.header)

    def _nonce(self, use):
        """Never the same twice: the check has its own kind, every chunk its number."""
        number = 0 if use == CHECK else self.count
        self.count += use != CHECK
        return self.prefix + number.to_bytes(4) + bytes([use])


class Sealing(io.RawIOBase):
    """A file to write to, that encrypts into `file`. Only close() makes it whole."""

    def __init__(self, file, passphrase):
        self._file, self._held = file, bytearray()
        self._cipher = _Cipher(passphrase, COST, os.urandom(SALT), os.urandom(PREFIX))
        file.write(self._cipher.header + self._cipher.seal(b"", CHECK))

    def writable(self):
        return True

    def write(self, data):
        self._held += data
        while len(self._held) > CHUNK:  # the last chunk is not known before close()
            self._file.write(self._cipher.seal(bytes(self._held[:CHUNK]), INNER))
            del self._held[:CHUNK]
        return len(data)

    def close(self):
        if not self.closed:
            self._file.write(self._cipher.seal(bytes(self._held), LAST))
        super().close()


class Opening(io.RawIOBase):
    """A file to read from, that decrypts `file`. Raises BackupError for a wrong passphrase and for altered bytes."""

    def __init__(self, file, passphrase):
        header = file.read(len(MAGIC) + 1 + SALT + PREFIX)
        cost, salt = header[len(MAGIC)] if len(header) > len(MAGIC) else 0, header[len(MAGIC) + 1 : -PREFIX]
        if not 0 < cost <= WORST or len(salt) != SALT:
            raise damaged()
        self._file, self._held, self._done = file, b"", False
        self._cipher = _Cipher(passphrase, cost, salt, header[-PREFIX:])
        self._check(file.read(TAG))
        self._next = file.read(CHUNK + TAG)

    def _check(self, tag):
        try:
            self._cipher.open(tag, CHECK)
        except InvalidTag:
            raise BackupError("BACKUP_PASSPHRASE is not the passphrase of this backup, or the file is damaged.") from None

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self._held and not self._done:
            self._held = self._chunk()
        given = self._held[: len(buffer)]
        buffer[: len(given)], self._held = given, self._held[len(given) :]
        return len(given)

    def _chunk(self):
        sealed, self._next = self._next, self._file.read(CHUNK + TAG)
        self._done = not self._next
        try:
            return self._cipher.open(sealed, LAST if self._done else INNER)
        except InvalidTag:
            raise damaged() from None


def damaged():
    """The error for a backup that is not as it was written."""
    return BackupError("This backup is damaged: it was cut short or altered since it was made. Use another one.")
