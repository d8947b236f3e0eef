"""A crowd that wants an installation on this machine to fall over: slow clients, or many at the sign-in.

    python -m dashboard.bench.crowd slow|flood PORT SECONDS PER_SECOND

A process of its own, so that what it costs is not taken for the server's. It ends by itself and prints, as JSON, what it
did. Only 127.0.0.1 is ever asked.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections import Counter
from urllib.parse import urlencode

HOST = "127.0.0.1"
IDLE, SLOW_HEADS, SLOW_BODIES, SLOW_READERS = 200, 40, 40, 20
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def main(kind, port, seconds, per_second):
    done = Counter()
    asyncio.run({"slow": slow, "flood": flood}[kind](int(port), float(seconds), float(per_second), done))
    sys.stdout.write(json.dumps(done))


# --- slow clients -------------------------------------------------------------------------------------------
async def slow(port, seconds, _per_second, done):
    """All kinds of slowness at once; who is thrown out comes again."""
    until = time.monotonic() + seconds
    kinds = [(idle, IDLE), (slow_head, SLOW_HEADS), (slow_body, SLOW_BODIES), (slow_reader, SLOW_READERS)]
    await asyncio.gather(*(again(kind, port, until, done) for kind, count in kinds for _ in range(count)))


async def again(kind, port, until, done):
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection(HOST, port, limit=2**10)
        except OSError:
            done["refused"] += 1
            await asyncio.sleep(0.2)
            continue
        done[kind.__name__] += 1
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
                await kind(reader, writer)
        except (OSError, TimeoutError):
            pass
        writer.close()
        await asyncio.sleep(0.1)


async def idle(reader, writer):
    """Connects and says nothing."""
    await reader.read(1)


async def slow_head(reader, writer):
    """A byte a second of headers that never end."""
    await drip(reader, writer, f"GET /accounts/login/ HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {'x' * 10_000}")


async def slow_body(reader, writer):
    """Headers at once, then a byte a second of a body."""
    head = f"POST /accounts/login/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/x-www-form-urlencoded"
    writer.write(f"{head}\r\nContent-Length: 20000\r\n\r\n".encode())
    await drip(reader, writer, "x" * 20_000)


async def slow_reader(reader, writer):
    """Asks for a page and takes a few bytes of the answer a second."""
    writer.write(f"GET /accounts/login/ HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    while await reader.read(16):
        await asyncio.sleep(1)


async def drip(reader, writer, text):
    for letter in text:
        if reader.at_eof():
            return
        writer.write(letter.encode())
        await writer.drain()
        await asyncio.sleep(1)


# --- many at the sign-in -------------------------------------------------------------------------------------
async def flood(port, seconds, per_second, done):
    """So many tries a second to sign in, each from another address and for another account."""
    head, page = await ask(port, "GET", "", {})
    cookie = re.search(r"(?im)^set-cookie: ((?:__Host-)?csrf=[^;]+)", head).group(1)
    token = TOKEN.search(page).group(1)
    start, tries = time.monotonic(), []
    for number in itertools.count():
        if (at := number / per_second) > seconds:
            break
        await asyncio.sleep(max(0, start + at - time.monotonic()))
        form = {"csrfmiddlewaretoken": token, "login": f"person{number}@example.com", "password": "a guess that is wrong"}
        tries.append(asyncio.create_task(attempt(port, urlencode(form), cookie, number, done)))
    await asyncio.wait(tries, timeout=10)


async def attempt(port, body, cookie, number, done):
    headers = {
        "Cookie": cookie,
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
    }
    try:
        head, _page = await ask(port, "POST", body, headers)
    except (OSError, TimeoutError):
        done["no answer"] += 1
    else:
        done[head.split(" ")[1]] += 1


async def ask(port, method, body, headers):
    """(head, body) of an answer of the sign-in page."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        lines = {"Host": f"{HOST}:{port}", "Connection": "close", "Content-Length": len(body)} | headers
        head = "\r\n".join([f"{method} /accounts/login/ HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())])
        writer.write(f"{head}\r\n\r\n{body}".encode())
        async with asyncio.timeout(30):
            answer = await reader.read()
    finally:
        writer.close()
    head, _, page = answer.decode(errors="replace").partition("\r\n\r\n")
    if not head:
        raise ConnectionError("no answer")
    return head, page


if __name__ == "__main__":
    main(*sys.argv[1:])
