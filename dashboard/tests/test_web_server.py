"""The web server's worker, in a real server with a tiny application: slow clients hold no thread, odd requests are refused."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings

from dashboard import web_server

pytestmark = pytest.mark.one_database
THREADS = 2
GET = b"GET /first HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /second HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD_SECONDS = 3  # for a head, in the servers of most of these tests: long enough for one in pieces on a busy machine
PATIENCE = 60  # seconds until an answer that does not come counts as missing
OURS, PLAIN = "dashboard.web_server.Worker", "gthread"


def application(environ, start_response):
    """Says what was asked, and what came with it."""
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/slow":
        Path(os.environ["BEGUN"]).touch()
        time.sleep(0.5)
    told = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {len(body)} {hashlib.sha256(body).hexdigest()}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(told)))])
    return [told]


if "SHORT_HEADS" in os.environ:  # in the server
    web_server.REQUEST_SECONDS = HEAD_SECONDS


@contextmanager
def serving(worker, **environment):
    """A server of one process and two threads; gives its port and itself."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        port, descriptor = listener.getsockname()[1], listener.fileno()
        command = [sys.executable, "-m", "gunicorn", f"{__name__}:application", "--bind", f"fd://{descriptor}"]
        sizes = [
            "--no-control-socket",
            "--worker-class",
            worker,
            "--workers",
            "1",
            "--threads",
            str(THREADS),
            "--log-level",
            "critical",
        ]
        server = subprocess.Popen(
            [*command, *sizes], cwd=settings.BASE_DIR, pass_fds=[descriptor], env=os.environ | environment, start_new_session=True
        )
        try:
            assert b"200 OK" in ask(port, GET + b"Connection: close\r\n\r\n")
            yield port, server
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@pytest.fixture(scope="module")
def port():
    with serving(OURS, SHORT_HEADS="1") as (port, _server):
        yield port


def connect(port, patience=PATIENCE):
    return socket.create_connection(("127.0.0.1", port), timeout=patience)


def ask(port, *pieces, patience=PATIENCE):
    """All that comes back for pieces sent one after the other, until the server closes."""
    with closing(connect(port, patience)) as sock:
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(0.01)
        return b"".join(iter(partial(sock.recv, 65536), b""))


def last(head):
    return head + b"Connection: close\r\n"


def told(method, path, body=b""):
    return f"{method} {path} {len(body)} {hashlib.sha256(body).hexdigest()}".encode()


@contextmanager
def slow_clients(port):
    """Connections that say nothing, half a head, and half a body: more than there are threads of each."""
    with ExitStack() as stack:
        for said in (b"", GET, POST + b"Content-Length: 100\r\n\r\nhalf"):
            for _ in range(4 * THREADS):
                sock = stack.enter_context(closing(connect(port)))
                sock.sendall(said)
        time.sleep(0.2)
        yield


def test_slow_clients_keep_nobody_waiting(port):
    with slow_clients(port):
        started = time.monotonic()
        assert told("GET", "/first") in ask(port, last(GET) + b"\r\n")

    assert time.monotonic() - started < HEAD_SECONDS  # before any of them had to go


def test_the_control_with_gunicorns_own_worker_nobody_is_answered():
    with serving(PLAIN) as (port, _server), slow_clients(port), pytest.raises(TimeoutError):
        ask(port, last(GET) + b"\r\n", patience=1)


def test_the_crowd_of_the_benchmark_comes_and_goes_and_the_page_is_looked_at_meanwhile(port, monkeypatch):
    """The real one, for a second and a half: `./run bench --only availability` does the same to a whole installation."""
    from dashboard.bench import availability  # models: the server, which imports this file for its application, has none

    monkeypatch.setattr(availability, "PAUSE", 0.05)
    look = availability.Look(port, "", ["/first"])
    before = look.during(0.3)
    with availability._crowd("slow", port, 0.5) as crowd:
        taken = look.during(0.5)
    lines = list(availability._lines("18", "slow", 100, before, taken, availability._told(crowd)))

    done = json.loads(crowd.told)
    assert done["idle"] >= 200
    assert min(done[kind] for kind in ("slow_head", "slow_body", "slow_reader")) >= 20
    assert lines[0].what == "a payer's page under slow clients, p95"
    assert [line.limit for line in lines] == [500, 2, 500, 2]
    assert all(line.reached for line in lines)
    assert f"{done['idle']} idle" in lines[0].how


def test_a_request_may_come_in_any_pieces(port):
    whole = last(POST) + b"Content-Length: 11\r\n\r\nhello world"

    for cut in (1, 7, 41, len(whole) - 12, len(whole) - 11, len(whole) - 1):
        assert told("POST", "/second", b"hello world") in ask(port, whole[:cut], whole[cut:])
    assert told("POST", "/second", b"hello world") in ask(port, whole[:-20], *(whole[i : i + 1] for i in range(len(whole))[-20:]))


def test_a_large_body_waits_in_a_file_and_arrives_as_it_was(port):
    body = os.urandom(3 * web_server.IN_MEMORY)

    assert told("POST", "/second", body) in ask(port, last(POST) + b"Content-Length: %d\r\n\r\n" % len(body), body)


def test_two_requests_on_one_connection_are_both_answered_and_in_order(port):
    first, second = GET + b"\r\n", last(POST) + b"Content-Length: 2\r\n\r\nhi"

    for pieces in ([first + second], [first, second], [first + second[:30], second[30:]]):
        said = ask(port, *pieces)
        assert said.index(told("GET", "/first")) < said.index(told("POST", "/second", b"hi"))


def test_who_asks_before_sending_a_body_is_told_to_go_on(port):
    with closing(connect(port)) as sock:
        sock.sendall(last(POST) + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 100")
        sock.sendall(b"hi")
        assert told("POST", "/second", b"hi") in b"".join(iter(partial(sock.recv, 65536), b""))


@pytest.mark.parametrize(
    "request_, status",
    [
        (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 501),
        (POST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\nhi" + SMUGGLED, 400),
        (POST + b"Content-Length: +2\r\n\r\nhi", 400),
        (POST + b"Content-Length: 2, 40\r\n\r\nhi", 400),
        (POST + b"Content-Length: 999999999999\r\n\r\n", 413),
        (GET + b"X: " + b"x" * (web_server.MOST_HEAD - len(GET) - 3), 431),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_a_request_whose_end_is_in_doubt_is_refused_and_nothing_behind_it_is_read(port, request_, status):
    said = ask(port, request_)

    assert said[:9] in (b"HTTP/1.0 ", b"HTTP/1.1 ")
    assert said[9:13] == b"%d " % status
    assert b"smuggled" not in said
    assert said.count(b"HTTP/1.") == 1
    assert b"Connection: close" in said


def test_headers_that_do_not_come_end_the_connection(port):
    with closing(connect(port)) as sock:
        sock.sendall(GET)
        started = time.monotonic()
        assert sock.recv(1000) == b""

    assert HEAD_SECONDS / 2 < time.monotonic() - started < web_server.IDLE_SECONDS / 2


def test_told_to_stop_it_finishes_what_it_works_on_and_waits_for_no_slow_client(tmp_path):
    begun = tmp_path / "begun"
    with serving(OURS, BEGUN=str(begun)) as (port, server), slow_clients(port), closing(connect(port)) as busy:
        busy.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        deadline = time.monotonic() + PATIENCE
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        server.terminate()
        assert told("GET", "/slow") in b"".join(iter(partial(busy.recv, 65536), b""))
