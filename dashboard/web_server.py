"""The web server's worker: gunicorn keeps the processes, waitress the connections.

gunicorn's own threads read from clients: a handful that send a byte a second, or nothing, leave nobody to answer the others.
waitress reads requests in one loop, which waits for all sockets at once, and a thread gets a request when all of it is
there; what a client is slow to read waits in that loop as well. Ours is only when a client's time is up.
"""

import logging
import os
import time

from django.conf import settings
from gunicorn.workers.base import Worker as BaseWorker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

IDLE_SECONDS = 30  # of a connection on which nothing comes or goes
REQUEST_SECONDS = 20  # for a request from its first byte, and a second more for each SLOWEST bytes of its body
SLOWEST = 20_000  # bytes a second
MOST_HEAD = 64 * 1024  # bytes of headers
IN_MEMORY = 128 * 1024  # bytes of a body; a larger one waits in a file


class Channel(HTTPChannel):
    """A client's connection. `begun` is when the request began of which a part is there."""

    begun = None

    def received(self, data):
        taken = super().received(data)
        self.begun = None if self.request is None else self.begun or time.monotonic()
        return taken

    def is_late(self):
        """Whether its request takes too long to come."""
        arriving, begun = self.request, self.begun
        if arriving is None or begun is None:
            return False
        return time.monotonic() - begun > REQUEST_SECONDS + arriving.body_bytes_received / SLOWEST


class Server(TcpWSGIServer):
    channel_class = Channel

    def maintenance(self, now):
        """Close connections whose time is up: waitress does so when nothing comes, we when too little does."""
        super().maintenance(now)
        for channel in self.active_channels.values():
            channel.will_close |= channel.is_late()


class Worker(BaseWorker):
    """A process of gunicorn that serves by waitress's loop and threads."""

    def run(self):
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request that waits for a thread is no news
        self.map, self.threads = {}, ThreadedTaskDispatcher()
        self.threads.set_thread_count(self.cfg.threads)
        servers = [self.serve(listener.sock) for listener in self.sockets]
        while self.alive and self.ppid == os.getppid():
            self.notify()
            wasyncore.loop(timeout=1, use_poll=True, map=self.map, count=1)
        self.finish(servers)

    def serve(self, sock):
        where = (sock.family, sock.type, sock.proto, sock.getsockname())
        return Server(
            self.wsgi, self.map, _sock=sock, dispatcher=self.threads, adj=self.limits(), sockinfo=where, bind_socket=False
        )

    def limits(self):
        return Adjustments(
            ident="",
            connection_limit=self.cfg.worker_connections,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=1,
            max_request_header_size=MOST_HEAD,
            max_request_body_size=2 * settings.IMPORT_MAX_BYTES + MOST_HEAD,  # a file a little too large is told so on its page
            inbuf_overflow=IN_MEMORY,
            clear_untrusted_proxy_headers=False,  # Django believes as many proxies as there are (PROXIES)
        )

    def finish(self, servers):
        """Take nothing new, and see what is under way to its end."""
        for server in servers:
            server.del_channel()
        until = time.monotonic() + self.cfg.graceful_timeout
        while any(map(_is_busy, servers)) and time.monotonic() < until:
            self.notify()
            wasyncore.loop(timeout=0.1, use_poll=True, map=self.map, count=1)
        self.threads.shutdown(timeout=1)


def _is_busy(server):
    return any(channel.requests or channel.total_outbufs_len for channel in list(server.active_channels.values()))
