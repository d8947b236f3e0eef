"""A throwaway PostgreSQL for tests: a private cluster on a free port, gone when the block ends.

Works for any user; root hands the server to `postgres` or `nobody`, because PostgreSQL refuses to run as root.
As a command, `python -m dashboard.tests.pgtemp command …` runs command with DATABASE_URL set to such a cluster.
"""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "listen_addresses=127.0.0.1")
SORTS_LIKE_PEOPLE = ("--locale-provider=icu", "--icu-locale=en")  # as most servers do: a forgotten byte order shows
PATIENCE = 120  # seconds until a server that does not answer counts as failed


def find_binaries():
    """The folder that holds initdb and postgres, newest version first, or None."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = [Path(p) for place in PLACES for p in glob.glob(place) if (Path(p) / "initdb").exists()]
    return max(found, key=lambda p: [int(n) for n in "".join(c if c.isdigit() else " " for c in str(p)).split()], default=None)


@contextmanager
def cluster():
    """Start a cluster and give its DATABASE_URL; stop and remove it at the end."""
    folder = tempfile.mkdtemp(prefix="counterfoil-pg-")
    try:
        who = _someone_but_root(folder)
        server, port = _start(find_binaries(), folder, who)
        try:
            _wait(server, port, folder)
            yield f"postgres://postgres@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # "fast": drops connections, then stops
            server.wait(PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _someone_but_root(folder):
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _start(binaries, folder, who):
    where = {"cwd": "/", "env": {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": folder}, **who}
    data = f"{folder}/data"
    make = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", *SORTS_LIKE_PEOPLE]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, **where)
    port = _free_port()
    options = [part for option in FAST for part in ("-c", option)]
    with open(f"{folder}/log", "wb") as log:
        # its own session: Ctrl-C goes to the tests, and the server outlives them by a moment
        command = [binaries / "postgres", "-D", data, "-p", str(port), "-k", folder, *options]
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **where), port


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(server, port, folder):
    import psycopg

    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise RuntimeError("The throwaway PostgreSQL did not start:\n" + Path(folder, "log").read_text(errors="replace"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves the block below, which stops the server
    with cluster() as url:
        sys.exit(subprocess.call(sys.argv[1:], env={**os.environ, "DATABASE_URL": url}))
