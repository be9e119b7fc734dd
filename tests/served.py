"""A made service on a real socket, in a thread of the test, and what asks it."""

import contextlib
import http.client
import io
import json
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.core.record import Record
from headstart.saved import Prediction
from headstart.serve.about import about
from headstart.serve.answers import Told
from headstart.serve.app import Service
from headstart.serve.limits import Limits
from headstart.serve.server import listen, server

SMALL = Limits(request=500_000, held=2_000_000, examples=8, pixels=4_000_000, body_seconds=0.4, answer_seconds=5)
COLUMNS = {"image": None, "text": "text", "series": '{"channels": 1, "names": []}', "table": '{"age": "number"}'}


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks a server."""

    port: int
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/"

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """One request on a connection of its own; a Host among the headers takes the place of the right one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = dict(headers or {})
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host="Host" in given, skip_accept_encoding=True)
            sized = not {"Content-Length", "Transfer-Encoding"} & given.keys()
            if body is not None and sized:
                given["Content-Length"] = str(len(body))
            for name, value in given.items():
                connection.putheader(name, value)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(body)
            found = connection.getresponse()
            return Reply(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("POST", path, body, headers)

    def json(self, path: str, value: Any, headers: Mapping[str, str] | None = None) -> Reply:
        return self.post(path, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def files(self, path: str, files: Sequence[tuple[str, bytes]]) -> Reply:
        return self.post(path, *form(files))


def form(files: Sequence[tuple[str, bytes]]) -> tuple[bytes, dict[str, str]]:
    """A form with files, and its header."""
    out = io.BytesIO()
    for name, body in files:
        disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        out.write(f"--frontier\r\n{disposition}\r\nContent-Type: image/png\r\n\r\n".encode() + body + b"\r\n")
    out.write(b"--frontier--\r\n")
    return out.getvalue(), {"Content-Type": "multipart/form-data; boundary=frontier"}


def png(side: int = 8, seed: int = 0) -> bytes:
    """A small picture."""
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def bomb(width: int, height: int, extra: bytes = b"") -> bytes:
    """A PNG that claims to be so large, and is small."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + extra + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def text_bomb(size: int) -> bytes:
    """A text in a PNG that grows when it is unpacked."""
    return _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * size))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def made(
    record: Record, kind: str = "image", answer: Callable[..., list[Told]] | None = None, limits: Limits = SMALL
) -> Service:
    """A service of that kind of data whose model is a function."""
    changed = record.model_copy(update={"data": record.data.model_copy(update={"modality": kind})})
    said = about(changed, COLUMNS[kind], limits)
    return Service(said, answer or (lambda given: [*map(first, given)]), limits, COLUMNS[kind])


def first(given: str | Path, classes: Sequence[str] = ("crack", "dust")) -> Prediction:
    """The first class, whatever it is; a file must be there."""
    size = given.stat().st_size if isinstance(given, Path) else len(given)
    assert size
    share = 0.9 / max(len(classes) - 1, 1)
    return Prediction(str(given), classes[0], 0.7, dict(zip(classes, (0.7, *[share / 3] * 9), strict=False)))


@contextlib.contextmanager
def serving(service: Service, host: str = "127.0.0.1") -> Iterator[Client]:
    """The service, on a port of its own."""
    with listen(host, 0) as listening:
        running = server(service, host)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            end = time.monotonic() + 10
            while not running.started:
                assert time.monotonic() < end, "not started"
                time.sleep(0.01)
            yield Client(listening.getsockname()[1])
        finally:
            running.should_exit = True
            thread.join(15)
            assert not thread.is_alive(), "it did not end"


def patient(limits: Limits = SMALL, seconds: float = 20.0) -> Limits:
    """The same for requests that take longer."""
    return replace(limits, body_seconds=seconds, answer_seconds=seconds)
