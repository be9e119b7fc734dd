"""`headstart serve` under load: 16 clients that send one photo at a time, beside the model's own speed in a loop.

    .venv/bin/python benchmarks/bench_serve.py [--seconds 60] [--clients 16] [--run RUN --photos FOLDER]

Without --run the solar cells are fitted first (`elpv_data.py`). The server is `headstart serve` in a process of its
own; the clients are threads of a second one. They share the cores of the machine with the server, so that what they
take is missing there: the rates are those of server and clients together. The loop is `Saved.predict` in a third
process that has the machine for itself, on the same photos, one at a time and 32 at a time.
"""

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from elpv_data import lay_out

RESULT = Path(__file__).parent / "results" / "serve.json"
PHOTOS = 512  # different ones that are sent, over and over
LOOPED = {1: 96, 32: 512}  # batch: photos that the loop predicts
BATCH = 32  # photos of a request to /batch


def fitted(bench: Path) -> tuple[Path, Path]:
    """A linear head on the solar cells, and where they lie."""
    photos, run = lay_out(bench / "elpv-0", 0), bench / "serve-run"
    if not run.exists():
        import headstart as hs

        sources, strategies = ["wheel:efficientnet-lite0"], ["linear"]
        hs.fit(photos, sources=sources, strategies=strategies, minutes=0.5, deliver="transfer", out=run)
    return run, photos


def some(folder: Path) -> list[Path]:
    """Photos evenly over all."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))
    return [paths[(at * len(paths)) // PHOTOS] for at in range(PHOTOS)] if len(paths) > PHOTOS else paths


def loop(run: Path, photos: Path) -> dict[str, float]:
    """Photos a second of the model alone, by how many it is given at a time."""
    from headstart.core.progress import Silent
    from headstart.saved import Saved

    saved, paths = Saved.open(run), some(photos)
    saved.predict(paths[-BATCH:], Silent())
    found: dict[str, float] = {}
    for size, count in LOOPED.items():
        started = time.perf_counter()
        for at in range(0, count, size):
            saved.predict([paths[(at + i) % len(paths)] for i in range(size)], Silent())
        found[f"batch {size}"] = count / (time.perf_counter() - started)
    return found


@contextlib.contextmanager
def serving(run: Path) -> Iterator[tuple[str, int]]:
    """The address of `headstart serve`, and the number of its process."""
    command = [sys.executable, "-m", "headstart", "serve", str(run), "--port", "0", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        assert process.wait(30) == 0, "it did not end well"


class Load:
    """Clients that send, each on a connection of its own, until told to stop."""

    def __init__(self, url: str, bodies: list[bytes], route: str, headers: dict[str, str]) -> None:
        self.host, self.bodies, self.route, self.headers = urlsplit(url).netloc, bodies, route, headers
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        self.over = threading.Event()

    def client(self, number: int) -> None:
        """One of them."""
        connection, at = http.client.HTTPConnection(self.host, timeout=60), number
        while not self.over.is_set():
            started = time.perf_counter()
            try:
                connection.request("POST", self.route, self.bodies[at % len(self.bodies)], self.headers)
                reply = connection.getresponse()
                said = json.loads(reply.read())
                if reply.status != 200 or any(one["error"] for one in said.get("answers", [said])):
                    self.wrong.append(f"{reply.status} {said}"[:300])
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                connection.close()
            self.seconds.append(time.perf_counter() - started)
            at += 1

    def run(self, clients: int, seconds: float, each: int) -> dict[str, object]:
        """What came of it."""
        threads = [threading.Thread(target=self.client, args=(97 * number,)) for number in range(clients)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.over.set()
        for thread in threads:
            thread.join()
        took, ordered = time.perf_counter() - started, sorted(self.seconds)
        cuts = statistics.quantiles(ordered, n=100, method="inclusive")
        return {
            "clients": clients, "seconds": took, "requests": len(ordered), "photos a request": each,
            "errors": len(self.wrong), "some errors": self.wrong[:3], "photos a second": each * len(ordered) / took,
            "p50 ms": 1000 * cuts[49], "p95 ms": 1000 * cuts[94], "p99 ms": 1000 * cuts[98],
            "most ms": 1000 * ordered[-1],
        }  # fmt: skip


def form(paths: list[Path]) -> bytes:
    """Photos as the body of a form."""
    head = '--x\r\nContent-Disposition: form-data; name="file"; filename="{}"\r\n\r\n'
    return b"".join(head.format(one.name).encode() + one.read_bytes() + b"\r\n" for one in paths) + b"--x--\r\n"


def memory(pid: int) -> float | None:
    """Megabytes that a process holds, where the system tells."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    return int(next(row for row in status.read_text().splitlines() if row.startswith("VmRSS")).split()[1]) / 1024


def loaded(run: Path, photos: Path, clients: int, seconds: float) -> dict[str, object]:
    """The server under both kinds of load."""
    paths = some(photos)
    forms = [form(paths[at : at + BATCH]) for at in range(0, len(paths) - BATCH + 1, BATCH)]
    with serving(run) as (url, pid):
        Load(url, [one.read_bytes() for one in paths], "/predict", {}).run(clients, 3, 1)  # until all is warm
        before = memory(pid)
        single = Load(url, [one.read_bytes() for one in paths], "/predict", {}).run(clients, seconds, 1)
        after = memory(pid)
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        several = Load(url, forms, "/batch", kind).run(2, max(seconds / 3, 3), BATCH)
    return {"one at a time": single, "32 at a time": several, "megabytes before": before, "megabytes after": after}


def own(run: Path, photos: Path) -> dict[str, float]:
    """The loop in a process of its own."""
    command = [sys.executable, __file__, "--child", "--run", str(run), "--photos", str(photos)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--child", action="store_true")
    asked = parser.parse_args()
    if asked.run is not None and asked.photos is None:
        parser.error("--run needs --photos")
    run, photos = (asked.run, asked.photos) if asked.run else fitted(Path(".bench"))
    if asked.child:
        print(json.dumps(loop(run, photos)))
        return
    before = own(run, photos)
    found = loaded(run, photos, asked.clients, asked.seconds)
    after = own(run, photos)
    alone = {name: [before[name], after[name]] for name in before}
    taps = json.loads((run / "model.json").read_text())
    how = {"sources": sorted({name for name, _ in taps.get("taps", [])}), "modes": taps.get("modes")}
    kept = {"cores": os.cpu_count(), **how, "loop, photos a second": alone, **found}
    RESULT.write_text(json.dumps(kept, indent=1) + "\n")
    print(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
