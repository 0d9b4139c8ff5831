"""The dashboard under load: how long an event takes to every open page, whether one is missed, and what it weighs.

    python -m benchmarks.dashboard [--quick] [--clients 200] [--rate 100] [--seconds 60] [--prps 1000]

One `prp dashboard` over an embedded Valkey that writes every change to disk before it answers. Pages are connections
that read the stream as browsers do, in a process of their own; one more never reads. Of the events four in five are
PRP events as a script writes them, one in five is real: the merge lock is taken and given back. "Late" is from the
event's id, which is the store's clock, to the page's last byte of it. Exit 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import multiprocessing
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from prpgate import config, events
from prpgate.lock import MergeLock, Who
from prpgate.outcomes import Granted
from prpgate.store import client
from prpgate.store.discover import Place
from prpgate.store.embedded import Embedded

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from prpgate.store.client import Store

PROJECT, STORE_ID = "example.org/bench/board", "77777777-6f0c-4f9a-8a53-d1a2b6c0e9f7"
TOML = f'project = "{PROJECT}"\n[ledger]\npath = "prps.yaml"\n[store]\nid = "{STORE_ID}"\n'
LATE_MS, GROWTH, GROWTH_MB = 100.0, 1.10, 4.0
FIRST_LOOK_S = 10  # memory is compared from here on
MANY = 10_000


class Bench:
    def __init__(self) -> None:
        self.missed: list[str] = []

    def told(self, what: str, value: float, unit: str, bar: float | None = None) -> None:
        text = f"{what:62s} {value:10.2f} {unit:4s}"
        if bar is not None:
            held = value <= bar
            text += f"  bar {bar:7.2f}  {'held' if held else 'MISSED'}"
            if not held:
                self.missed.append(what)
        print(text.rstrip(), flush=True)


# --- what is shown ---------------------------------------------------------------------------------------------------
def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def make_project(folder: Path, url: str, count: int) -> Path:
    """A repository without a remote: its own main branch is the record."""
    clone = folder / f"clone-{count}"
    git(folder, "init", "-q", "-b", "main", str(clone))
    entry = "  P1-{:05d}:\n    title: A piece of work, number {}\n    status: {}\n    depends_on: [P1-{:05d}]\n"
    status = ("complete", "validated", "validated", "new")
    text = "".join(entry.format(n, n, status[n % 4], max(0, n - 7)) for n in range(count))
    (clone / "prp.toml").write_text(TOML)
    (clone / "prps.yaml").write_text("prp_tracking:\n" + text)
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "start")
    with client.open_store(Place(url, "given", "benchmark"), PROJECT) as store:
        store.redis.flushall()
        client.adopt(store, STORE_ID)
    subprocess.run([sys.executable, "-m", "prpgate", "redis-sync"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
    return clone


class Dashboard:
    """The process, and one who is logged in."""

    def __init__(self, clone: Path) -> None:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "prpgate", "dashboard", "--json", "--port", "0"]
        self.process = subprocess.Popen(
            command, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.cold_s = time.perf_counter() - begun
        self.port, self.cookie = int(said["port"]), ""
        _, headers, _ = self.ask(said["url"].partition(f":{self.port}")[2])
        self.cookie = headers["set-cookie"].partition(";")[0]

    def ask(self, path: str) -> tuple[int, dict[str, str], bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as c:
            c.request("GET", path, headers={"Cookie": self.cookie, "Accept-Encoding": "gzip"})
            answer = c.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def listen(self, cursor: str, *, deaf: bool = False) -> socket.socket:
        s = socket.socket()
        if deaf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", self.port))
        asked = f"GET /events?after={cursor} HTTP/1.1\r\nHost: localhost\r\nCookie: {self.cookie}\r\n\r\n"
        s.sendall(asked.encode())
        return s

    def rss_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu_s(self) -> float:
        times = os.sysconf("SC_CLK_TCK")
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / times

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=10)


# --- pages -----------------------------------------------------------------------------------------------------------
class Page:
    """What one page has read."""

    def __init__(self, s: socket.socket) -> None:
        self.socket, self.rest = s, b""
        self.ids: list[str] = []
        self.over = False


def pages(board: Dashboard, cursor: str, count: int, tell: Connection) -> None:
    """Read `count` streams until told to end; then how late each event was on each page, and what each has seen."""
    chooser = selectors.DefaultSelector()
    readers = [Page(board.listen(cursor)) for _ in range(count)]
    for one in readers:
        one.socket.setblocking(False)
        chooser.register(one.socket, selectors.EVENT_READ, one)
    known: dict[bytes, list[str]] = {}  # all pages get the same bytes: they are understood once
    late: list[float] = []
    tell.send("ready")
    while not tell.poll():
        for key, _ in chooser.select(0.2):
            _read(key.data, known, late, chooser)
    tell.recv()
    tell.send((late, [one.ids for one in readers], sum(one.over for one in readers)))


def _read(one: Page, known: dict[bytes, list[str]], late: list[float], chooser: selectors.BaseSelector) -> None:
    try:
        got = one.socket.recv(1 << 18)
    except BlockingIOError:
        return
    except ConnectionResetError:
        got = b""
    if not got:
        one.over = True
        chooser.unregister(one.socket)
        return
    now = time.time() * 1000
    *frames, one.rest = (one.rest + got).split(b"\n\n")
    for frame in frames:
        head, found, data = frame.partition(b"\ndata: ")
        if not found or b"event: change" not in head:
            continue
        ids = known.get(frame)
        if ids is None:
            ids = known[frame] = [e["id"] for e in json.loads(data)["events"]]
        one.ids += ids
        late += [now - int(i.partition("-")[0]) for i in ids]


# --- load ------------------------------------------------------------------------------------------------------------
def work(store: Store, rate: int, seconds: float, looks: dict[int, float], board: Dashboard) -> int:
    """So many events a second, evenly; how many there were. Memory is looked at on the way."""
    lock = MergeLock(store, "main", config.parse(TOML, "prp.toml").times)
    written, n, begun, looked = 0, 0, time.perf_counter(), 0
    while (gone := time.perf_counter() - begun) < seconds:
        if gone >= looked + 1:
            looked = int(gone)
            looks[looked] = board.rss_mb()
        if written >= gone * rate:
            time.sleep(max(0.0, written / rate - gone))
            continue
        n += 1
        if n % 9 == 0:
            who = Who(
                ticket=f"t{n}",
                hold=f"h{n}",
                agent=f"agent-{n % 20}",
                host="bench",
                pid=n,
                op="bench",
                prp=None,
                sha=None,
            )
            taken = lock.acquire(who, plain=True)
            if isinstance(taken, Granted):
                lock.release(taken.lease)
            written += 2
        else:
            fields: dict[Any, Any] = {"event": "note", "prp": f"P1-{n % 997:05d}", "agent": f"agent-{n % 20}"}
            store.redis.xadd(store.keys.events, {**fields, "fence": "", "detail": f"number {n}"})
            written += 1
    looks[int(seconds)] = board.rss_mb()
    return written


def rank(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, int(len(ordered) * share + 0.999999) - 1)]


def load(bench: Bench, folder: Path, url: str, args: argparse.Namespace) -> None:
    with contextlib.closing(Dashboard(make_project(folder, url, args.prps))) as board:
        _load(bench, url, args, board)


def _load(bench: Bench, url: str, args: argparse.Namespace, board: Dashboard) -> None:
    looks: dict[int, float] = {}
    with client.open_store(Place(url, "given", "benchmark"), PROJECT) as store:
        _, _, body = board.ask("/api/state")
        cursor = json.loads(gzip.decompress(body))["cursor"]
        begin = {lane: _last(store, lane) for lane in (None, "main")}
        here, there = multiprocessing.Pipe()
        reading = multiprocessing.get_context("fork").Process(
            target=pages, args=(board, cursor, args.clients, there), daemon=True
        )
        reading.start()
        here.recv()
        deaf = board.listen(cursor, deaf=True)
        before = board.cpu_s()
        written = work(store, args.rate, args.seconds, looks, board)
        spent = board.cpu_s() - before
        time.sleep(1.0)
        here.send("end")
        late, seen, over = here.recv()
        reading.join()
        streams = [[e.id for e in events.between(store, lane, begin[lane])] for lane in (None, "main")]
    told = sorted(streams[0] + streams[1])
    wrong = sum(sorted(ids) != told for ids in seen)
    title = f"{args.clients} pages, {args.rate} events a second, {args.seconds:g} s, {args.prps:,} PRPs"
    print(f"\n{title}: {len(told)} events in the streams, {written} written")
    for share in (0.5, 0.95, 0.99, 1.0):
        name = f"event to page, p{share * 100:g}" if share < 1 else "event to page, the latest"
        bench.told(name, rank(late, share), "ms", LATE_MS if share == 0.95 else None)
    bench.told("pages that missed an event, or had one twice", wrong, "", 0)
    bench.told("pages that were let go", over, "", 0)
    bench.told("a page that never reads: still there", 1.0 - _is_over(deaf), "", 0)
    first = looks[min(looks, key=lambda s: abs(s - min(FIRST_LOOK_S, args.seconds / 4)))]
    last = looks[int(args.seconds)]
    bench.told("memory of the dashboard at the end", last, "MB")
    bench.told("... over that after 10 s", last / first, "x", max(GROWTH, (first + GROWTH_MB) / first))
    bench.told("a core's time that it takes", 100 * spent / args.seconds, "%")


def _last(store: Store, lane: str | None) -> str:
    found = events.tail(store, 1, lane=lane)
    return found[-1].id if found else "0-0"


def _is_over(deaf: socket.socket) -> bool:
    """Whether the server has ended this connection; what the kernel still holds of it comes first."""
    deaf.settimeout(2)
    try:
        while deaf.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def weight(bench: Bench, folder: Path, url: str, count: int, rounds: int) -> None:
    clone = make_project(folder, url, count)
    imports = median(
        _timed([sys.executable, "-c", "import starlette.applications, sse_starlette, uvicorn"]) for _ in range(rounds)
    )
    boards = []
    for _ in range(rounds):
        board = Dashboard(clone)
        boards.append(board.cold_s)
        if len(boards) == rounds:
            begun = time.perf_counter()
            _, _, body = board.ask("/api/state")
            first = time.perf_counter() - begun
            begun = time.perf_counter()
            board.ask("/api/state")
            again = time.perf_counter() - begun
            print(f"\n{count:,} PRPs")
            bench.told("/api/state", len(gzip.decompress(body)) / 1e6, "MB")
            bench.told("... as it is sent (gzip)", len(body) / 1e3, "kB")
            bench.told("... the first time", first * 1000, "ms")
            bench.told("... while nothing has changed", again * 1000, "ms")
            bench.told("memory of the dashboard", board.rss_mb(), "MB")
        board.close()
    bench.told("from the start of Python to the link", median(boards) * 1000, "ms")
    bench.told("... over importing starlette, sse_starlette and uvicorn", median(boards) / imports, "x")


def _timed(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description="The dashboard under load, against bars.")
    parser.add_argument("--quick", action="store_true", help="50 pages, 20 s; for a look, not for a figure")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=int, default=100, help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--prps", type=int, default=1000)
    args = parser.parse_args()
    if args.quick:
        args.clients, args.seconds = 50, 20.0
    bench = Bench()
    with tempfile.TemporaryDirectory(prefix="prpgate-bench-", dir="/tmp") as name:
        for variable in [v for v in os.environ if v.startswith(("GIT_", "PRP_", "REDIS_"))]:
            del os.environ[variable]
        os.environ.update(HOME=name, XDG_STATE_HOME=f"{name}/state", GIT_CONFIG_NOSYSTEM="1", PRP_AGENT="bench")
        (Path(name) / ".gitconfig").write_text("[user]\n\tname = bench\n\temail = bench@example.org\n")
        own = Embedded(PROJECT, f"{name}/store")
        own.ensure(10)
        os.environ["PRP_REDIS_URL"] = url = f"unix://{own.socket}"
        try:
            load(bench, Path(name), url, args)
            for count in (args.prps,) if args.quick else (57, MANY):
                weight(bench, Path(name), url, count + 1, 2 if args.quick else 5)
        finally:
            own.stop()
    if bench.missed:
        print("missed: " + "; ".join(bench.missed))
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
