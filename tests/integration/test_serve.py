"""A served run: what it answers, what it refuses, what it keeps for itself, and how it ends."""

import contextlib
import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart.cli.main import main
from headstart.core.errors import UserError
from headstart.core.exhibits import Exhibit
from headstart.core.record import SkippedFile
from headstart.evaluation.familiarity import Neighbour
from headstart.modalities.image import header
from headstart.modalities.series import archive
from headstart.saved import Prediction
from headstart.serve import answers, guard, queue, server
from headstart.serve.limits import Limits, RefusedError
from headstart.serve.uploads import Example


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


MADE, SERVED = _load("made_run"), _load("served")
Client = Any
JSON = {"Content-Type": "application/json"}
TOKEN = "0123456789abcdef-secret"


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Client]]:
    """A server of each kind of data."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("uploads")))
        kinds = ("image", "text", "series", "table")
        yield {kind: stack.enter_context(SERVED.serving(SERVED.made(MADE.record(), kind))) for kind in kinds}


# --- what it answers


def test_a_picture_is_answered_however_it_is_sent(clients: dict[str, Client]) -> None:
    image = clients["image"]
    body = SERVED.png()
    raw, sent = image.post("/predict", body), image.files("/predict", [("cell.png", body)])
    assert (raw.status, sent.status) == (200, 200)
    assert raw.json["name"] == "example 1"
    assert sent.json["name"] == "cell.png"
    assert sent.json["label"] == "crack"
    assert sent.json["probability"] == 0.7
    assert sent.json["error"] is None


def test_a_batch_is_answered_in_order_and_says_what_could_not_be_read(clients: dict[str, Client]) -> None:
    found = clients["image"].files("/batch", [("a", SERVED.png()), ("b", b"%PDF"), ("c", SERVED.png(seed=1))])
    assert found.status == 200
    told = found.json["answers"]
    assert [one["name"] for one in told] == ["a", "b", "c"]
    assert [one["status"] for one in told] == [200, 415, 200]
    assert "not a picture" in told[1]["error"]
    assert told[1]["label"] is None


@pytest.mark.parametrize(
    ("kind", "example"),
    [("text", "some words"), ("table", {"age": 31}), ("series", [[0.1, None, 0.3]]), ("series", [1, 2, 3])],
)
def test_json_is_answered(clients: dict[str, Client], kind: str, example: Any) -> None:
    one = clients[kind].json("/predict", {"example": example})
    several = clients[kind].json("/batch", {"examples": [example] * 3})
    assert one.status == several.status == 200
    assert one.json["label"] == "crack"
    assert [each["label"] for each in several.json["answers"]] == ["crack"] * 3


@pytest.mark.parametrize(
    "body",
    [b"@univariate true\n@data\n1,2,3,4\n5,6,7,8\n", b"1,2,3,4,5,6,7,8,9\n" * 2, b"1\t2\t3\t4\t5\t6\t7\t8\t9\n" * 2],
)
def test_a_file_of_series_has_an_answer_for_each(clients: dict[str, Client], body: bytes) -> None:
    told = clients["series"].files("/batch", [("../x.anything", body)]).json["answers"]
    assert [one["name"] for one in told] == ["../x.anything:1", "../x.anything:2"]
    assert all(one["shown"]["lines"][0] for one in told)


@pytest.mark.parametrize("body", [b"age\n31\n\n", b'{"age": 31}\n{"age": null}\n', b"name\tage\nx\t1\ny\t2\n"])
def test_a_table_of_rows_has_an_answer_for_each(clients: dict[str, Client], body: bytes) -> None:
    told = clients["table"].files("/batch", [("people.csv", body)]).json["answers"]
    assert [one["name"] for one in told] == ["people.csv:1", "people.csv:2"]
    assert [one["label"] for one in told] == ["crack"] * 2
    assert told[0]["shown"]["cells"].keys() == {"age"}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"years\n31\n", 422, "one column 'age', got none in people.csv"),
        (b"age\nold\nolder\n", 422, "a number in column 'age' of people.csv, got 'old'"),
        (b"age\n1e999\n", 422, "a number in column 'age' of people.csv, got '1e999'"),
        (b"age\n" + b"1\n" * 9, 413, "at most 8 examples at a time"),
        (b"age\n\xff\n", 415, "a table: CSV, TSV or JSON lines"),
        (b'{"years": 31}\n', 422, "columns that the run has read, got years in a line"),
        (b'{"age": 31}\n{"age":', 400, "JSON in UTF-8"),
        (b'{"age": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", 400, "JSON in UTF-8"),  # a parser in C++ dies of it
        (b"age,age\n1,2\n", 422, "one column 'age', got 2 in people.csv"),
        (b",".join(b"c%d" % at for at in range(20_000)) + b"\n", 422, "one column 'age', got none in people.csv"),
        (b"age\n" + b"1" * 200_000, 422, "field larger than field limit"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(
    clients: dict[str, Client], body: bytes, status: int, said: str
) -> None:
    found = clients["table"].files("/batch", [("people.csv", body)])
    assert found.status == status
    assert said in found.json["error"]


def test_lines_of_json_are_no_file_of_series(clients: dict[str, Client]) -> None:
    body = b'{"t0": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    found = clients["series"].files("/batch", [("x.jsonl", body)])
    assert found.status == 415
    assert "lines of JSON" in found.json["error"]
    assert clients["series"].get("/health").status == 200


def test_arrays_are_answered(clients: dict[str, Client], tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "some.npz", X=np.arange(20.0).reshape(2, 10))
    found = clients["series"].post("/batch", (tmp_path / "some.npz").read_bytes())
    assert len(found.json["answers"]) == 2


def test_the_run_says_what_it_is(clients: dict[str, Client]) -> None:
    for kind, client in clients.items():
        about = client.get("/about").json
        assert about["modality"] == kind
        assert about["classes"] == list(MADE.CLASSES)
        assert about["said"].startswith("Accuracy 86.0 % (90 % interval 83.0")
        assert about["sources"][0] == {"name": "wheel:efficientnet-lite0", "licence": "Apache-2.0"}
        assert about["verdict"].startswith("Transfer helped")
        assert "solar cells" not in json.dumps(about)  # nothing of where the data lay
    assert clients["table"].get("/about").json["columns"] == [{"name": "age", "kind": "number"}]
    assert clients["image"].get("/health").json == {"status": "ok"}


def test_the_api_is_described_and_nothing_is_loaded_from_elsewhere(clients: dict[str, Client]) -> None:
    described = clients["text"].get("/openapi.json").json
    assert {"/predict", "/batch", "/about", "/health"} == set(described["paths"])
    body = described["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"] == {"example": {"type": "string"}}
    assert "422" in described["paths"]["/predict"]["post"]["responses"]
    assert [clients["text"].get(path).status for path in ("/docs", "/redoc")] == [404, 404]
    page = "".join(clients["text"].get(path).body.decode() for path in ("/", "/page.css", "/page.js"))
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not a place


def test_every_answer_has_the_headers(clients: dict[str, Client]) -> None:
    image = clients["image"]
    refused = image.get("/", {"Host": "evil.example"})
    for reply in (image.get("/"), image.get("/page.js"), image.get("/nothing"), image.post("/predict", b""), refused):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert not [name for name in reply.headers if name.startswith("access-control")]
        assert "server" not in reply.headers


# --- what it refuses

Ask = Callable[[dict[str, Any]], Any]
DEEP = b'{"example": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
LONG = json.dumps({"example": "word " * 40_000}).encode()


def image(method: str, path: str, body: Any = None, **headers: str) -> Ask:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda clients: clients["image"].ask(method, path, body, named)


def of(kind: str, value: Any, path: str = "/predict") -> Ask:
    return lambda clients: clients[kind].json(path, value)


def body_of(kind: str, body: bytes, **headers: str) -> Ask:
    return lambda clients: clients[kind].post("/predict", body, {k.replace("_", "-"): v for k, v in headers.items()})


def raw(sent: bytes, then: float = 0.0) -> Ask:
    """Bytes on a socket as they are; the status that comes back."""

    def asking(clients: dict[str, Any]) -> Any:
        with socket.create_connection(("127.0.0.1", clients["image"].port), timeout=10) as line:
            line.sendall(sent)
            time.sleep(then)
            head = line.recv(65_536)
        return SERVED.Reply(int(head.split()[1]) if head else 0, {}, head.partition(b"\r\n\r\n")[2])

    return asking


def zip_bomb(**members: bytes) -> bytes:
    made = Path(tempfile.mkstemp()[1])
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in members.items():
            file.writestr(f"{name}.npy", body)
    found = made.read_bytes()
    made.unlink()
    return found


def array(shape: str, kind: str = "<f8", data: bytes = b"") -> bytes:
    """An array's file with a header that says what it likes."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + data


PIECES = [*[b"186A0\r\n" + b"\0" * 100_000 + b"\r\n"] * 40, b"0\r\n\r\n"]
ENDLESS = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999\r\n\r\nx"
MANY = SERVED.form([(f"{at}.png", b"\x89PNG") for at in range(10_000)])
HOSTILE: dict[str, tuple[Ask, int]] = {
    "huge body": (image("POST", "/predict", b"\0" * 3_000_000), 413),
    "huge body in pieces": (image("POST", "/predict", PIECES,
                                  Transfer_Encoding="chunked"), 413),
    "says it is endless": (raw(ENDLESS), 413),
    "10,000 files": (image("POST", "/batch", MANY[0][:480_000], Content_Type=MANY[1]["Content-Type"]), 413),
    "a batch of 10,000": (of("text", {"examples": ["a"] * 10_000}, "/batch"), 413),
    "two to predict": (lambda clients: clients["image"].files("/predict", [("a", SERVED.png())] * 2), 413),
    "picture of 3.6 gigapixels": (body_of("image", SERVED.bomb(60_000, 60_000)), 413),
    "picture of 25 megapixels": (body_of("image", SERVED.bomb(5000, 5000)), 413),
    "text bomb in a picture": (body_of("image", SERVED.bomb(8, 8, SERVED.text_bomb(64_000_000))), 422),
    "head of a picture only": (body_of("image", SERVED.png()[:20]), 422),
    "zip bomb": (body_of("series", zip_bomb(X=array("(8, 1000000)", data=b"\0" * 64_000_000))), 413),
    "zip that lies": (body_of("series", zip_bomb(X=array("(1000000, 1000000)"))), 422),
    "array of objects": (body_of("series", zip_bomb(X=array("(2,)", "|O", b"cos\nsystem\n"))), 422),
    "zip of anything": (body_of("series", zip_bomb(evil=b"x")), 422),
    "series too long": (of("series", {"example": [[0] * 200_000]}), 413),
    "channels of two lengths": (of("series", {"example": [[1, 2], [1]]}), 422),
    "words for numbers": (of("series", {"example": [["a", "b", "c"]]}), 422),
    "a program": (body_of("image", b"\x7fELF" + b"\0" * 1000), 415),
    "a program called a picture": (body_of("image", b"MZ" + b"\0" * 1000, Content_Type="image/png"), 415),
    "postscript": (body_of("image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n"), 415),
    "svg": (body_of("image", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"), 415),
    "a path for a picture": (of("image", {"example": "/etc/passwd"}), 415),
    "a path as body": (body_of("image", b"file:///etc/passwd"), 415),
    "text of zero bytes": (body_of("text", b"a\0b"), 415),
    "text in latin-1": (body_of("text", "Stra\xdfe".encode("latin-1")), 415),
    "half a character": (body_of("text", b'{"example": "\\ud800"}', Content_Type="application/json"), 422),
    "long text": (body_of("text", LONG, Content_Type="application/json"), 413),
    "deep JSON": (body_of("text", DEEP, Content_Type="application/json"), 400),
    "no JSON": (body_of("text", b"{", Content_Type="application/json"), 400),
    "JSON of another shape": (of("text", {"example": "a", "path": "/etc/passwd"}), 422),
    "a row that is none": (of("table", {"example": [1, 2]}), 422),
    "nothing": (body_of("image", b""), 400),
    "a form without frontier": (body_of("image", b"--x", Content_Type="multipart/form-data"), 400),
    "path upwards": (image("GET", "/../../../../etc/passwd"), 404),
    "path upwards, written otherwise": (image("GET", "/%2e%2e/%2e%2e/etc/passwd"), 404),
    "path through a file": (image("GET", "/page.css/..%2f..%2fapp.py"), 404),
    "another method": (image("PUT", "/predict", b"x"), 405),
    "foreign origin": (image("POST", "/predict", SERVED.png(), Origin="http://evil.example"), 403),
    "origin null": (image("POST", "/predict", SERVED.png(), Origin="null"), 403),
    "origin on another port": (image("POST", "/predict", SERVED.png(), Origin="http://127.0.0.1:1"), 403),
    "wrong host": (image("POST", "/predict", SERVED.png(), Host="evil.example"), 421),
    "host that begins well": (image("GET", "/", Host="127.0.0.1.evil.example"), 421),
    "host with somebody in it": (image("GET", "/", Host="evil@127.0.0.1"), 421),
    "no host": (raw(b"GET / HTTP/1.0\r\n\r\n"), 421),
    "two hosts": (raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"), 400),
    "slow body": (raw(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx", 0.6), 408),
    "long head": (raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"), 431),
    "no HTTP": (raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 5 + b"\r\n\r\n"), 400),
    "a web socket": (raw(b"GET /predict HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), 405),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused(clients: dict[str, Client], name: str) -> None:
    ask, status = HOSTILE[name]
    found = ask(clients)
    assert found.status == status, found.body[:300]
    if found.body.startswith(b"{"):
        line = found.json["error"]
        assert line.startswith("expected "), line
        assert ", got " in line
        assert "headstart-serve-" not in line  # nothing of where things lie
        assert len(line) < 600
    assert clients["image"].post("/predict", SERVED.png()).status == 200  # and it answers on


def test_memory_is_flat_and_nothing_is_left(clients: dict[str, Client]) -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("no /proc")

    def held() -> float:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1]) / 1024  # type: ignore[index]

    def round_() -> None:
        for name, (ask, _) in HOSTILE.items():
            if name not in {"slow body", "says it is endless"}:  # they wait
                ask(clients)

    round_()
    before = held()
    for _ in range(3):
        round_()
    assert held() - before < 40
    folders = [*Path(tempfile.gettempdir()).glob("headstart-serve-*")]
    assert len(folders) == 4
    assert [path for folder in folders for path in folder.rglob("*")] == []


def test_a_zip_bomb_is_refused_before_it_is_unpacked(clients: dict[str, Client]) -> None:
    found = HOSTILE["zip bomb"][0](clients)
    assert "when unpacked" in found.json["error"]


def test_a_clients_name_is_only_said_back(clients: dict[str, Client], tmp_path: Path) -> None:
    victim = tmp_path / "victim.png"
    victim.write_bytes(b"mine")
    for name in (f"../../../..{victim}", str(victim), "..\\..\\evil.png", "a" * 500, "\u202ex"):
        found = clients["image"].files("/predict", [(name.replace("\\", "\\\\"), SERVED.png())])
        assert found.status == 200
        assert len(found.json["name"]) <= 120
        assert found.json["name"].isprintable()
    assert victim.read_bytes() == b"mine"
    assert [*tmp_path.iterdir()] == [victim]


def test_uploads_are_files_of_the_servers_own_and_gone_with_the_answer() -> None:
    seen: list[tuple[str, int, int]] = []

    def answer(given: list[Path]) -> list[Prediction]:
        seen.extend((path.name, path.stat().st_mode & 0o077, path.parent.stat().st_mode & 0o077) for path in given)
        folders.append(given[0].parent)
        return [SERVED.first(path) for path in given]

    folders: list[Path] = []
    with SERVED.serving(SERVED.made(MADE.record(), answer=answer)) as client:
        assert client.files("/batch", [("/etc/x.png", SERVED.png()), ("y", SERVED.png(seed=1))]).status == 200
        assert not folders[0].exists()
        assert folders[0].parent.exists()
    assert [name for name, _, _ in seen] == ["0", "1"]
    assert all(folder == 0 for _, _, folder in seen)  # nobody else may look into it
    assert not folders[0].parent.exists()


def test_a_bug_is_no_traceback_for_the_client(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(given: list[str]) -> list[Prediction]:
        if given == ["break"]:
            raise RuntimeError("secret of the server")
        return [SERVED.first(one) for one in given]

    with SERVED.serving(SERVED.made(MADE.record(), "text", answer)) as client:
        broken = client.json("/predict", {"example": "break"})
        assert client.json("/predict", {"example": "whole"}).status == 200
    assert broken.status == 500
    assert "bug" in broken.json["error"]
    assert b"secret" not in broken.body
    assert "RuntimeError: secret of the server" in capsys.readouterr().err


# --- who may ask


def test_others_than_this_machine_need_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(guard.TOKEN, raising=False)
    service = SERVED.made(MADE.record(), "text")
    with pytest.raises(UserError, match=r"HEADSTART_TOKEN in the environment for --host 0\.0\.0\.0, got none"):
        server.server(service, "0.0.0.0")
    monkeypatch.setenv(guard.TOKEN, "short")
    with pytest.raises(UserError, match="HEADSTART_TOKEN of 16 characters or more, got 5"):
        server.server(service, "127.0.0.1")
    monkeypatch.setenv(guard.TOKEN, TOKEN)
    key = {"Authorization": f"Bearer {TOKEN}"}
    with SERVED.serving(service, "0.0.0.0") as client:
        asked = {"example": "words"}
        none, wrong = client.json("/predict", asked), client.json("/predict", asked, {"Authorization": "Bearer x"})
        assert (none.status, wrong.status) == (401, 401)
        assert none.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in none.json["error"] + wrong.json["error"]
        assert [client.get(path).status for path in ("/", "/page.css", "/page.js", "/health")] == [200] * 4
        assert [client.get(path).status for path in ("/about", "/openapi.json")] == [401, 401]
        assert b"crack" not in client.get("/").body  # the page says nothing of the run
        assert client.json("/predict", asked, key).status == 200
        assert client.json("/predict", asked, {**key, "Host": f"10.1.2.3:{client.port}"}).status == 200
        assert client.json("/predict", asked, {**key, "Host": "evil.example"}).status == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:{}", "[::1]:{}", "LOCALHOST:{}"])
def test_the_names_of_this_machine_may_be_used(clients: dict[str, Client], host: str) -> None:
    client = clients["image"]
    named = host.format(client.port)
    assert client.get("/health", {"Host": named, "Origin": f"http://{named}"}).status == 200


# --- many at a time


def test_who_waits_is_answered_together_and_a_full_line_says_when_to_come_again() -> None:
    sizes: list[int] = []
    go = threading.Event()

    def answer(given: list[str]) -> list[Prediction]:
        sizes.append(len(given))
        assert go.wait(10)
        return [SERVED.first(one, (one, "other")) for one in given]

    limits = replace(SERVED.patient(), waiting=12)
    with SERVED.serving(SERVED.made(MADE.record(), "text", answer, limits)) as client, ThreadPoolExecutor(20) as pool:
        told = [pool.submit(client.json, "/predict", {"example": "w0"})]
        while not sizes:
            time.sleep(0.01)
        told += [pool.submit(client.json, "/predict", {"example": f"w{at}"}) for at in range(1, 11)]
        time.sleep(1)  # until they wait
        full = client.json("/batch", {"examples": ["a"] * 3})
        assert full.status == 503
        assert full.headers["retry-after"] == "1"
        assert "line" in full.json["error"]
        go.set()
        assert [one.result().json["label"] for one in told] == [f"w{at}" for at in range(11)]
    assert len(sizes) <= 4
    assert max(sizes) >= 8


def test_clients_that_ask_again_at_once_stay_together() -> None:
    sizes: list[int] = []

    def answer(given: list[str]) -> list[Prediction]:
        sizes.append(len(given))
        time.sleep(0.4)
        return [SERVED.first(one) for one in given]

    def asking(client: Client) -> None:
        for _ in range(4):
            assert client.json("/predict", {"example": "a"}).status == 200

    service = SERVED.made(MADE.record(), "text", answer, SERVED.patient())
    with SERVED.serving(service) as client, ThreadPoolExecutor(6) as pool:
        assert [one.result() for one in [pool.submit(asking, client) for _ in range(6)]] == [None] * 6
    assert sum(sizes) == 24
    assert len(sizes) <= 6, sizes  # in two halves that wait for each other it would be eight or nine


def test_who_has_gone_costs_nothing_more() -> None:
    seen: list[str] = []
    begun, go = threading.Event(), threading.Event()

    def answer(given: list[str]) -> list[Prediction]:
        seen.extend(given)
        begun.set()
        assert go.wait(10)
        return [SERVED.first(one) for one in given]

    with SERVED.serving(SERVED.made(MADE.record(), "text", answer, SERVED.patient())) as client:
        body = json.dumps({"example": "gone"}).encode()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.json, "/predict", {"example": "first"})
            assert begun.wait(10)
            with socket.create_connection(("127.0.0.1", client.port)) as line:
                head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                time.sleep(0.2)
            time.sleep(0.5)
            go.set()
            assert first.result().status == 200
        assert client.json("/predict", {"example": "last"}).status == 200
    assert seen == ["first", "last"]


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    go = threading.Event()

    def answer(given: list[str]) -> list[Prediction]:
        assert go.wait(10)
        return [SERVED.first(one) for one in given]

    limits = replace(SERVED.SMALL, answer_seconds=0.3)
    with SERVED.serving(SERVED.made(MADE.record(), "text", answer, limits)) as client:
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(client.json, "/predict", {"example": "a"})
            time.sleep(0.8)
            go.set()
            assert late.result().status == 503
        assert client.json("/predict", {"example": "b"}).status == 200


def test_bodies_share_the_memory_that_there_is() -> None:
    limits = replace(SERVED.patient(seconds=3), held=600_000)
    with SERVED.serving(SERVED.made(MADE.record(), limits=limits)) as client:
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                line = stack.enter_context(socket.create_connection(("127.0.0.1", client.port)))
                head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000\r\n\r\n"
                line.sendall(head + b"\0" * 300_000)
                time.sleep(0.3)
            found = line.recv(1000)
            assert b"503" in found.split(b"\r\n")[0]
            assert b"retry-after: 1" in found
        time.sleep(0.5)
        assert client.post("/predict", SERVED.png()).status == 200  # released with those who went


def test_a_head_that_does_not_come_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    with SERVED.serving(SERVED.made(MADE.record())) as client:
        for sent in (b"", b"GET / HT", b"GET /health HT"):
            with socket.create_connection(("127.0.0.1", client.port), timeout=5) as line:
                if sent.startswith(b"GET /health"):
                    line.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    time.sleep(0.1)
                    assert b"200 OK" in line.recv(2000)
                line.sendall(sent)
                assert line.recv(1000) == b""


# --- parts


def test_what_cannot_be_read_is_said_under_the_clients_own_name() -> None:
    path = Path("/somewhere/7")
    example, told = Example("mine.png", path), SkippedFile(name=str(path), why=f"{path} is damaged")
    found = answers.written(example, told, lambda _: None)
    assert found.error == "expected an example that can be read, got mine.png: mine.png is damaged. Repair it."
    assert found.status == 422


def test_the_nearest_training_examples_are_shown() -> None:
    near = (Neighbour("crack/1.png", "crack", 0.93), Neighbour("dust/2.png", "dust", 0.9))
    told = replace(SERVED.first("words"), unlike=True, nearest=near)
    shown = {"crack/1.png": Exhibit(words="like this")}
    found = answers.written(Example("a", "words"), told, shown.get)
    assert found.unlike
    assert [(one.name, one.label, one.similarity) for one in found.nearest] == [
        ("crack/1.png", "crack", 0.93), ("dust/2.png", "dust", 0.9),
    ]  # fmt: skip
    assert [one.shown for one in found.nearest] == [Exhibit(words="like this"), None]


def test_deep_pictures_may_be_a_quarter_as_large() -> None:
    def deep(side: int) -> bytes:
        return SERVED.bomb(side, side).replace(b"\x08\x02\0\0\0", b"\x10\0\0\0\0", 1)

    assert header.refusal(SERVED.png(100), 10_000) == ""
    assert header.refusal(SERVED.png(101), 10_000) == "too large (101 x 101 pixels; at most 10,000)"
    assert "at most 2,500" in header.refusal(deep(51), 10_000) or "damaged" in header.refusal(deep(51), 10_000)


def test_arrays_must_hold_what_they_state() -> None:
    whole = zip_bomb(X=array("(2, 3)", data=b"\0" * 48))
    assert archive.refusal(whole, 1000) == ""
    assert archive.refusal(whole, 100) == "too large (more than 100 bytes when unpacked)"
    assert "states more values" in archive.refusal(zip_bomb(X=array("(2, 30)", data=b"\0" * 48)), 1000)
    assert archive.refusal(b"PK\x03\x04", 1000) == "no .npz file of plain arrays"
    assert archive.refusal(zip_bomb(X=array("(-2, 3)", data=b"\0" * 48)), 1000) == "no .npz file of plain arrays"


def test_limits_are_the_users() -> None:
    assert Limits().of(None) == Limits()
    assert Limits().of(2).request == 2_000_000
    for wrong in (0, -1, float("nan"), 5000):
        with pytest.raises(UserError, match="--limit above zero"):
            Limits().of(wrong)
    assert RefusedError(413, "a", "b", "C.").line == "expected a, got b. C."
    assert Limits().examples >= queue.BATCH


# --- a real run


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    """A linear head on a small net."""
    out = tmp_path_factory.mktemp("runs") / "weave"
    return hs.fit(
        photos, sources=["random:test_resnet"], strategies=["linear"], minutes=0.02, deliver="transfer", out=out
    )


@pytest.fixture(scope="module")
def served(run: hs.Result) -> Iterator[tuple[Client, subprocess.Popen[str]]]:
    """`headstart serve` in a process of its own."""
    with started(run.run) as found:
        yield found


@contextlib.contextmanager
def started(folder: Path, *more: str) -> Iterator[tuple[Client, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "headstart", "serve", str(folder), "--port", "0", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        where = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\n", said)
        assert where, (said, process.stderr.read() if process.stderr else "")
        yield SERVED.Client(int(where[1])), process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_server_says_what_the_run_says(served: tuple[Client, Any], run: hs.Result, more_photos: Path) -> None:
    client, _ = served
    paths = sorted(more_photos.rglob("*.png"))[:8]
    ours = run.predict(paths)
    theirs = client.files("/batch", [(path.name, path.read_bytes()) for path in paths]).json["answers"]
    for mine, told, path in zip(ours, theirs, paths, strict=True):
        assert told["name"] == path.name
        assert told["label"] == mine.label
        assert told["probabilities"] == pytest.approx(mine.probabilities, abs=1e-5)
    one = client.post("/predict", paths[0].read_bytes()).json
    assert one["probabilities"] == pytest.approx(ours[0].probabilities, abs=1e-5)


@pytest.mark.slow
def test_a_torn_picture_among_others_is_said(served: tuple[Client, Any], more_photos: Path) -> None:
    client, _ = served
    whole = next(more_photos.rglob("*.png")).read_bytes()
    found = client.files("/batch", [("whole", whole), ("torn", whole[: len(whole) // 2]), ("again", whole)])
    assert [one["status"] for one in found.json["answers"]] == [200, 422, 200]
    said = found.json["answers"][1]["error"]
    assert "torn: damaged" in said
    assert "headstart-serve" not in said
    assert client.post("/predict", whole[: len(whole) // 2]).status == 422


@pytest.mark.slow
def test_the_servers_own_memory_is_flat(served: tuple[Client, Any], more_photos: Path) -> None:
    client, process = served
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        pytest.skip("no /proc")

    def held(what: str) -> float:
        return int(re.search(rf"{what}:\s+(\d+)", status.read_text())[1]) / 1024  # type: ignore[index]

    body = next(more_photos.rglob("*.png")).read_bytes()
    bad = [SERVED.bomb(60_000, 60_000), SERVED.bomb(8, 8, SERVED.text_bomb(64_000_000)), b"\0" * 30_000_000, MANY[0]]
    for _ in range(3):
        assert client.files("/batch", [("a", body)] * 32).status == 200
    before, most = held("VmRSS"), held("VmHWM")
    for _ in range(5):
        assert [client.post("/predict", one).status for one in bad] == [413, 422, 413, 415]
        assert client.post("/batch", *MANY).status == 413
        assert client.files("/batch", [("a", body)] * 32).status == 200
    assert held("VmRSS") - before < 60
    assert held("VmHWM") - most < 150  # also in between: a body, its parts, 64 MB never


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_as_asked_and_finishes_what_it_has_begun(
    run: hs.Result, more_photos: Path, how: signal.Signals
) -> None:
    body = next(more_photos.rglob("*.png")).read_bytes()
    with started(run.run) as (client, process), ThreadPoolExecutor(1) as pool:
        assert client.post("/predict", body).status == 200
        under_way = pool.submit(client.files, "/batch", [(f"{at}", body) for at in range(60)])
        time.sleep(0.15)
        process.send_signal(how)
        assert under_way.result().status == 200
        said, wrong = process.communicate(timeout=15)
        assert process.returncode == 0
        assert said == ""
        assert "Traceback" not in wrong
        assert "Ctrl-C ends it" in wrong
        with pytest.raises(OSError, match="refused"):
            client.get("/health")


@pytest.mark.slow
def test_a_port_in_use_and_a_damaged_run_are_one_line(
    run: hs.Result, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(run.run), "--port", str(port)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(rf"expected a free port of this machine, got 127.0.0.1:{port} \(.*in use\)", said.err)
    damaged = hs.load(run.run).save(tmp_path / "damaged")
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert main(["serve", str(damaged), "--port", "0"]) == 2
    assert "sha256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "expected a finished run, got nowhere"),
        (["nowhere", "--host", "0.0.0.0"], "expected HEADSTART_TOKEN in the environment for --host 0.0.0.0, got none"),
        (["nowhere", "--limit", "0"], "expected --limit above zero"),
        (["nowhere", "--port", "99999999"], "expected a port from 0 to 65535, got 99999999"),
    ],
)
def test_mistakes_are_one_clear_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(guard.TOKEN, raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["serve", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) <= 2
