"""Who may ask, from where, how much and how slowly: asked before anything of a request is looked at."""

import asyncio
import hmac
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from headstart.core.errors import UserError
from headstart.serve.limits import Limits, RefusedError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN = "HEADSTART_TOKEN"
SHORTEST = 16  # characters of a token
LOOPBACK = ("localhost", "127.0.0.1", "::1")
OPEN = ("/", "/page.css", "/page.js", "/health")  # hold nothing of the run
HEAD = 16_384  # bytes of a request before its body
DRAINED, DRAIN_SECONDS = 200_000_000, 2.0  # of a refused body that are read, so that its sender hears why
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token(host: str, environment: Mapping[str, str]) -> str | None:
    """What clients must know: what the environment says, which must say something where others can reach the host.

    Raises:
        UserError: it says nothing, or too little.
    """
    found = environment.get(TOKEN) or None
    do = f"Set {TOKEN} to a secret of {SHORTEST} characters or more, or leave --host out."
    if found is None and not is_loopback(host):
        raise UserError(f"{TOKEN} in the environment for --host {host}", "none", do)
    if found is not None and len(found) < SHORTEST:
        raise UserError(f"{TOKEN} of {SHORTEST} characters or more", f"{len(found)}", do)
    return found


@dataclass
class Guard:
    """An ASGI application around another that only sees requests that are in order, with their bodies in memory.

    Attributes:
        app: the other.
        limits: of requests.
        host: that is listened on.
        token: that clients must know, if any.
        held: bytes of bodies in memory now.
    """

    app: App
    limits: Limits
    host: str
    token: str | None = None
    held: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        holding = _Holding(self, receive)
        try:
            self._check(scope)
            replayed = _replay(await holding.body(_length(scope)), receive)
        except RefusedError as refused:
            await holding.drain()
            await _refuse(refused, _with_headers(send))
        else:
            await self.app(scope, replayed, _with_headers(send))
        finally:
            holding.release()

    def _check(self, scope: Scope) -> None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        if sum(map(len, (scope["raw_path"], *(text for pair in headers for text in pair)))) > HEAD:
            raise RefusedError(431, f"a head of at most {HEAD:,} bytes", "a larger one", "Send fewer headers.")
        hosts = [value for name, value in headers if name == "host"]
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            came = ", ".join(hosts)[:100] or "none"
            raise RefusedError(421, f"the Host {self.host}", came, "Use the address that headstart serve has printed.")
        origins = [value for name, value in headers if name == "origin"]
        if any(urlsplit(one).netloc != hosts[0] or not one.startswith(("http://", "https://")) for one in origins):
            raise RefusedError(403, "no Origin, or this server's own", origins[0][:100], "Other sites may not ask.")
        known = [value for name, value in headers if name == "authorization"]
        if self.token is None or scope["path"] in OPEN:
            return
        wanted = f"Bearer {self.token}".encode("utf-8", "replace")
        if len(known) != 1 or not hmac.compare_digest(known[0].encode("latin-1"), wanted):
            came = "another" if known else "none"
            raise RefusedError(401, "the header Authorization: Bearer TOKEN", came, f"TOKEN is what {TOKEN} holds.")

    def _is_ours(self, stated: str) -> bool:
        """Whether a Host header names this server, so that no foreign name was made to point here."""
        try:
            parts = urlsplit(f"//{stated}")
            name, _ = parts.hostname or "", parts.port
        except ValueError:
            return False
        if name in LOOPBACK or name == self.host.lower():
            return parts.netloc == stated and "@" not in stated
        if is_loopback(self.host):
            return False
        try:  # of an address nobody can make it point elsewhere
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return name in {socket.gethostname().lower(), socket.getfqdn().lower()}


@dataclass
class _Holding:
    """The body of one request while it is in memory."""

    guard: Guard
    receive: Receive
    size: int = 0
    ended: bool = False

    async def body(self, stated: int) -> bytes:
        """All of it.

        Raises:
            RefusedError: it is too large, too slow, or there is no room for it.
        """
        limits, parts = self.guard.limits, bytearray()
        self._fits(stated)
        try:
            async with asyncio.timeout(limits.body_seconds):
                while not self.ended:
                    part = await self._part()
                    self.size += len(part)
                    self.guard.held += len(part)
                    self._fits(self.size)
                    parts += part
        except TimeoutError:
            self.ended = True  # as far as we listen
            expected, came = f"a request that arrives in {limits.body_seconds:g} s", f"{self.size:,} bytes of it"
            raise RefusedError(408, expected, came, "Send it again, or send less.") from None
        return bytes(parts)

    def _fits(self, size: int) -> None:
        limits = self.guard.limits
        if size > limits.request:
            do = "Send less at a time, or start the server with a larger --limit."
            raise RefusedError(413, f"a request of at most {limits.request:,} bytes", "a larger one", do)
        if self.guard.held + max(size - self.size, 0) > limits.held:
            raise RefusedError(503, "room for the request", "a server that is busy", "Ask again in a second.", retry=1)

    async def _part(self) -> bytes:
        message = await self.receive()
        if message["type"] != "http.request":
            self.ended = True
            raise RefusedError(400, "a whole request", "a client that has gone", "Send it again.")
        self.ended = not message.get("more_body", False)
        return message.get("body", b"")

    async def drain(self) -> None:
        """Read what a client still sends, and forget it: a client that cannot send does not listen either."""
        left = DRAINED
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self.ended and left > 0:
                    left -= len(await self._part())
        except (TimeoutError, RefusedError):
            pass

    def release(self) -> None:
        """Count it no longer."""
        self.guard.held -= self.size
        self.size = 0


def _length(scope: Scope) -> int:
    """Bytes that a request says it has; 0 where it does not say."""
    stated = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(stated) if stated.isdigit() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body in one message; after it whatever comes, such as the news that the client has gone."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed


def _with_headers(send: Send) -> Send:
    ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *ours]}
        await send(message)

    return sending


async def _refuse(refused: RefusedError, send: Send) -> None:
    body = json.dumps({"error": refused.line}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")]
    if refused.retry is not None:
        headers.append((b"retry-after", str(refused.retry).encode()))
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
