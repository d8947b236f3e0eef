"""The two processes of an installation, web server and task worker: started together, stopped together."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandError

STOP_PATIENCE = 30  # seconds a child may take to finish what it is doing
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_asked = []  # the signals that came


class Stopped(BaseException):
    """Somebody pressed Ctrl-C, closed the terminal or sent SIGTERM."""


def stop_on_signals():
    """From now on each of SIGNALS raises Stopped in the main thread, or where that is dropped, at the next stop_if_asked."""
    for number in SIGNALS:
        signal.signal(number, _raise_stopped)
    sys.unraisablehook = _tell_but_stopped


def _raise_stopped(number, _frame):
    _asked.append(number)
    raise Stopped


def _tell_but_stopped(dropped, tell=sys.unraisablehook):
    if dropped.exc_type is not Stopped:
        tell(dropped)


def stop_if_asked():
    """Raise Stopped again if it was raised and got lost: Python drops what is raised in a destructor or a weakref's callback,
    and imports are full of those."""
    if _asked:
        raise Stopped


@contextmanager
def listening(address):
    """A socket that listens on (host, port), taken before any other work so that a port in use is known at once.

    The web server inherits it; ours is closed when the block ends. Raises CommandError when it cannot be had.
    """
    try:
        listener = _listen(*address)
    except OSError as error:
        raise CommandError(
            f"ADDR is {settings.ADDR}, where nothing can listen: {error.strerror or error}. Stop the program that does, "
            "or choose another port, such as ADDR=127.0.0.1:8001."
        ) from error
    with listener:
        yield listener


def _listen(host, port):
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(place)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def start_web_server(listener):
    return _start(*web_command(listener.fileno()), pass_fds=[listener.fileno()])


def start_worker():
    return _start(*worker_command())


def web_command(descriptor):
    """gunicorn: threads within a few processes (web_server.py); it finishes open requests before it stops."""
    return [
        *(sys.executable, "-m", "gunicorn", "dashboard.wsgi:application", "--bind", f"fd://{descriptor}"),
        *("--worker-class", "dashboard.web_server.Worker", "--workers", str(settings.WEB_WORKERS)),
        *("--threads", str(settings.WEB_THREADS)),
        *("--preload", "--no-control-socket", "--log-level", "warning", "--graceful-timeout", str(STOP_PATIENCE - 5)),
    ]


def worker_command():
    return [sys.executable, "manage.py", "worker", "--no-startup-delay", "--no-reload"]


def _start(*command, pass_fds=()):
    # A session of its own: Ctrl-C in the terminal reaches us alone, and we tell each child once.
    return subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        pass_fds=pass_fds,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )


def _end_with_parent():
    """Have Linux send this child SIGTERM when its parent is killed without a chance to say so."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_for_first_end(children):
    """Wait until one of children ends; its name."""
    while True:
        stop_if_asked()
        for name, child in children.items():
            if child.poll() is not None:
                return name
        time.sleep(0.2)


def stop(children):
    """Let every child finish, and kill what has not after STOP_PATIENCE; a second Ctrl-C kills at once."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: kill(children))
    for child in children.values():
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + STOP_PATIENCE
    while any(child.poll() is None for child in children.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    kill(children)


def kill(children):
    """End every child that still runs, with the processes it started."""
    for child in children.values():
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def wait_until_it_answers(server, address):
    """Return once the web server at (host, port) answers a request, whatever the answer, or has ended."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
    while server.poll() is None and not _answers(host, address[1]):
        stop_if_asked()
        time.sleep(0.05)


def _answers(host, port):
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request("GET", "/healthz", headers={"Host": urlsplit(settings.SITE_URL).netloc})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
