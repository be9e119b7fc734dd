"""A run behind a socket: opened once, served until told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from headstart.core.errors import UserError
from headstart.runs import read_record
from headstart.saved import Saved
from headstart.serve.about import about
from headstart.serve.answers import answer
from headstart.serve.app import Service, application
from headstart.serve.guard import HEAD, Guard, token
from headstart.serve.limits import Limits

HEAD_SECONDS = 10.0  # of a request before its body
IDLE_SECONDS = 5  # that a connection may stay without a request
ENDING_SECONDS = 10  # in which what is begun may end


def service(run: Path, limits: Limits) -> Service:
    """A run that answers.

    Raises:
        UserError: it is not whole.
    """
    saved, record = Saved.open(run), read_record(run)
    told, answering, familiar = about(record, saved.column, limits), partial(answer, saved), saved.familiar
    if familiar is None:
        return Service(told, answering, limits, saved.column)
    return Service(told, answering, limits, saved.column, familiar.exhibit)


def listen(host: str, port: int) -> socket.socket:
    """A socket on a free port; 0 takes any.

    Raises:
        UserError: it is taken, or is no port or host of this machine.
    """
    do = "Name another with --host or --port; --port 0 takes any."
    if not 0 <= port < 2**16:
        raise UserError("a port from 0 to 65535", str(port), do)
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        with contextlib.ExitStack() as stack:
            stack.callback(made.close)
            if os.name == "posix":  # elsewhere it would let two servers share a port
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(where)
            made.listen(128)
            stack.pop_all()
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError("a free port of this machine", f"{host}:{port} ({why})", do) from None
    return made


def url(listening: socket.socket, host: str) -> str:
    """Where a browser finds it."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"


def server(served: Service, host: str) -> uvicorn.Server:
    """What runs on a socket: `run(sockets=[listen(host, port)])`.

    Raises:
        UserError: others can reach the host, and no token is set.
    """
    guarded = Guard(application(served), served.limits, host, token(host, os.environ))
    return _Server(
        uvicorn.Config(
            guarded, host=host, http=_Patient, ws="none", lifespan="on", log_level="warning", access_log=False,
            server_header=False, proxy_headers=False, limit_concurrency=served.limits.connections,
            timeout_keep_alive=IDLE_SECONDS, timeout_graceful_shutdown=ENDING_SECONDS,
            h11_max_incomplete_event_size=HEAD,
        )
    )  # fmt: skip


def run(folder: Path, host: str, port: int, limits: Limits, say: Callable[[str], None]) -> None:
    """Serve a run until Ctrl-C or SIGTERM.

    Args:
        folder: of the run.
        host: to listen on; others than loopback need a token in the environment.
        port: 0 takes any.
        limits: of requests.
        say: told the address when it can be asked.

    Raises:
        UserError: the run is not whole, the port is taken, or there is no token.
    """
    token(host, os.environ)
    with listen(host, port) as listening:
        served = server(service(folder, limits), host)
        say(url(listening, host))
        served.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends with status 0 when it is told to end: that is how it is meant to."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


class _Patient(H11Protocol):
    """Hangs up when the head of a request does not come; the body's time is the guard's."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        under_way = not self._idle()
        if under_way and self._late is not None:
            self._late.cancel()
            self._late = None
        elif not under_way and self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    def _hang_up(self) -> None:
        if self._idle():
            self.transport.close()

    def _idle(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        return cycle is None or cycle.response_complete
