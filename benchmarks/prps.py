"""PRPs at scale: what filling the store, listing, picking and watching cost; and races, beside other trackers.

    python -m benchmarks.prps [--quick] [--peers FOLDER[:FOLDER...]]

The ledger is one file per PRP, on an embedded Valkey that writes every change to disk before it answers. Commands are
timed as a person waits for them, from the start of Python; "in the store" is what Valkey's SLOWLOG says of one script.
Absolute bars are issue-given limits, the others ratios. Exit 1 when a bar of docs/design.md, "Numbers", is missed.

--peers: folders with the programs of other trackers (track, backlog, tisket, mb, sd), for the races and the two clones.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import redis

from benchmarks import prps_races
from benchmarks.prps_ledger import PROJECT, STORE_ID, entries, make_remote
from prpgate import config, picking
from prpgate.gitrepo import Repo
from prpgate.model import Agent
from prpgate.prps import Context
from prpgate.store import client
from prpgate.store.embedded import Embedded
from prpgate.store.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

READY, AGENTS, MANY = 200, 100, 10_000
SIZES = (1_000, MANY, 50_000)
PRP = (sys.executable, "-m", "prpgate")
COLD_S, FIRST_LINE_MS, SCRIPT_MS, FLAT, LINEAR = 1.5, 300.0, 2.0, 1.25, 1.5


class Bench:
    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.missed: list[str] = []

    def told(self, what: str, value: float, unit: str, bar: float | None = None, beside: float | None = None) -> None:
        """`beside`: what `import redis` took meanwhile, in the same unit; a busy machine is slow with that too."""
        text = f"{what:66s} {value:9.2f} {unit:4s}"
        if beside:
            text += f"  {value / beside:5.1f} x import redis"
        if bar is not None:
            held = value <= bar
            text += f"  bar {bar:7.2f}  {'held' if held else 'MISSED'}"
            if not held:
                self.missed.append(what)
        print(text.rstrip(), flush=True)


class Office:
    """One clone with a store of its own."""

    def __init__(self, folder: Path, own: Embedded, clone: Path) -> None:
        self.own, self.clone, self.folder = own, clone, folder
        self.url = f"unix://{own.socket}"
        self.repo = Repo.found(str(clone))
        self.config = config.parse((clone / "prp.toml").read_text(), "prp.toml")
        self.redis = redis.Redis(unix_socket_path=own.socket, decode_responses=True, socket_timeout=60)
        self.empty()

    def empty(self) -> None:
        """A store that knows whose it is, and nothing else; scripts are in its cache as they always are."""
        self.redis.flushall()
        with client.connect(self.config, str(self.clone), url=self.url, adopt_check=False) as store:
            client.adopt(store, STORE_ID)

    def prp(self, *args: str, agent: str = "bench") -> str:
        env = {**os.environ, "REDIS_URL": self.url, "PRP_AGENT": agent}
        done = subprocess.run([*PRP, *args], cwd=self.clone, env=env, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"prp {' '.join(args)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def context(self, store: client.Store, agent: str) -> Context:
        return Context(store, self.repo, self.config, Agent(agent, "benchmark"), "host", f"/wt/{agent}", False)


def timed(do: Callable[[], object]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    do()
    return (time.perf_counter() - begun) * 1000


def settled(r: redis.Redis) -> None:
    """Filling a store makes the server write its file anew in a child process, and emptying one frees it in a thread;
    what is asked meanwhile waits for memory."""
    client_: Any = r
    until = time.monotonic() + 60
    while time.monotonic() < until:
        info = client_.info("persistence")
        pending = client_.info("memory")["lazyfree_pending_objects"]
        if not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"] and not pending:
            return
        time.sleep(0.1)


def import_redis() -> float:
    """What every command that asks the store pays before its own first line."""
    return timed(lambda: subprocess.run([sys.executable, "-c", "import redis"], check=True))


def clone_of(folder: Path, remote: Path) -> Path:
    clone = folder / f"clone-{remote.name}"
    subprocess.run(["git", "clone", "-q", str(remote), str(clone)], check=True)
    return clone


def script_ms(r: redis.Redis) -> list[float]:
    """What the server spent on each script since the last call, by its own clock."""
    client_: Any = r
    took = [one["duration"] / 1000 for one in client_.slowlog_get(1000) if one["command"][:4] in (b"EVAL", "EVAL")]
    client_.slowlog_reset()
    return took


# --- ours at scale ---------------------------------------------------------------------------------------------------


def syncs(office: Office, bench: Bench, count: int) -> float:
    """Milliseconds of a cold sync, command and all."""
    took, imports = [], []
    for _ in range(bench.rounds):
        office.empty()
        took.append(timed(lambda: office.prp("redis-sync")))
        imports.append(import_redis())
    cold = median(took)
    bar = COLD_S if count == MANY else None
    bench.told(f"cold sync of {count:,} PRPs", cold / 1000, "s", bar, median(imports) / 1000)
    bench.told("  store time of its script", max(script_of_sync(office)), "ms")
    bench.told(
        "  again, nothing new", median(timed(lambda: office.prp("redis-sync")) for _ in range(bench.rounds)), "ms"
    )
    return cold


def script_of_sync(office: Office) -> list[float]:
    office.empty()
    script_ms(office.redis)
    office.prp("redis-sync")
    return script_ms(office.redis)


def first_line(office: Office, *args: str) -> tuple[float, float]:
    """Milliseconds until the first PRP is shown (behind the head), and until all are."""
    begun = time.perf_counter()
    env = {**os.environ, "REDIS_URL": office.url, "PRP_AGENT": "bench"}
    with subprocess.Popen([*PRP, *args], cwd=office.clone, env=env, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        assert child.stdout.readline()
        first = (time.perf_counter() - begun) * 1000
        child.stdout.read()
    return first, (time.perf_counter() - begun) * 1000


def lists(office: Office, bench: Bench) -> None:
    for args, bar in ((("list", "--status", "new"), FIRST_LINE_MS), (("list",), None), (("next",), None)):
        took = [(*first_line(office, *args), import_redis()) for _ in range(bench.rounds + 2)]
        beside = median(t[2] for t in took)
        bench.told(f"prp {' '.join(args)}, first line", median(t[0] for t in took), "ms", bar, beside)
        bench.told("  all of it", median(t[1] for t in took), "ms")
    bench.told(
        "prp list --json", median(timed(lambda: office.prp("list", "--json")) for _ in range(bench.rounds)), "ms"
    )


def picks(office: Office, bench: Bench, complete: int) -> tuple[float, float]:
    """Store time of the ready list and of a claim, with so many complete ones beside."""
    with client.connect(office.config, str(office.clone), url=office.url) as store:
        office.redis.delete(store.keys.claims)
        settled(office.redis)
        for _ in range(100):  # for some tenths of a second after it was emptied and filled a store is slow to answer
            picking.ask(office.context(store, "bench"), "list")
        script_ms(office.redis)
        for _ in range(50):
            picking.ask(office.context(store, "bench"), "list")
        listed = median(script_ms(office.redis))
        for n in range(AGENTS):
            answer = picking.ask(office.context(store, f"agent{n:03d}"), "claim")
            assert answer["ok"], answer
        claimed = script_ms(office.redis)
        for _ in range(50):
            picking.ask(office.context(store, "bench"), "list")
        with_claims = median(script_ms(office.redis))
        office.redis.delete(store.keys.claims)
    bar = SCRIPT_MS if complete == MANY else None
    bench.told(f"ready list in the store, {READY} ready, {complete:,} complete", listed, "ms", bar)
    bench.told(f"  with {AGENTS} claims held", with_claims, "ms")
    bench.told(f"claim in the store, {AGENTS} agents one by one, median", median(claimed), "ms", bar)
    bench.told("  the slowest", max(claimed), "ms")
    return listed, median(claimed)


def claims(office: Office, bench: Bench) -> None:
    """`prp next --claim` as an agent waits for it."""
    took = [timed(lambda n=n: office.prp("next", "--claim", agent=f"real{n}")) for n in range(bench.rounds + 2)]  # type: ignore[misc]
    bench.told("prp next --claim", median(took), "ms")
    subprocess.run(["git", "checkout", "-q", "."], cwd=office.clone, check=True)


def watched(office: Office, bench: Bench) -> None:
    """From just before an event is written until `prp watch` has printed its line."""
    env = {**os.environ, "REDIS_URL": office.url, "PRP_AGENT": "watcher", "PYTHONUNBUFFERED": "1"}
    lines: queue.Queue[tuple[float, str]] = queue.Queue()
    child = subprocess.Popen(
        [*PRP, "watch", "--json"], cwd=office.clone, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def read() -> None:
        assert child.stdout
        for line in child.stdout:
            lines.put((time.perf_counter(), line))

    threading.Thread(target=read, daemon=True).start()
    took = []
    try:
        assert child.stderr
        child.stderr.readline()
        time.sleep(0.5)
        key = Keys(PROJECT).events
        for n in range(50):
            begun = time.perf_counter()
            office.redis.xadd(key, {"event": "tick", "prp": f"T-{n}", "agent": "bench", "fence": "", "detail": ""})
            while True:
                at, line = lines.get(timeout=10)
                if json.loads(line)["prp"] == f"T-{n}":
                    break
            took.append((at - begun) * 1000)
            time.sleep(0.02)
    finally:
        child.terminate()
        child.wait()
    bench.told("watch: event to the reader's line, p50", median(took), "ms")
    bench.told("  p99", quantiles(took, n=100)[98], "ms")


def scale(folder: Path, own: Embedded, bench: Bench, sizes: tuple[int, ...]) -> None:
    cold: dict[int, float] = {}
    picked: dict[int, tuple[float, float]] = {}
    for size in sizes:
        new = size // 10
        remote = make_remote(folder / f"all-{size}", entries(READY, new, size - new - READY))
        office = Office(folder, own, clone_of(folder, remote))
        print(f"\n{size:,} PRPs: {READY} ready, {new:,} new, the rest complete; load {os.getloadavg()[0]:.1f}")
        cold[size] = syncs(office, bench, size)
        if size == MANY or len(sizes) == 1:
            lists(office, bench)
            claims(office, bench)
            watched(office, bench)
    for complete in sizes:
        remote = make_remote(folder / f"complete-{complete}", entries(READY, 0, complete))
        office = Office(folder, own, clone_of(folder, remote))
        office.prp("redis-sync")
        print()
        picked[complete] = picks(office, bench, complete)
    if len(sizes) == 3:
        print()
        small, middle, large = sizes
        slope = (cold[large] - cold[middle]) / (large - middle) / ((cold[middle] - cold[small]) / (middle - small))
        bench.told(
            f"cold sync: cost of one more PRP, {middle:,} to {large:,} over {small:,} to {middle:,}", slope, "x", LINEAR
        )
        for n, what in enumerate(("ready list", "claim")):
            ratio = picked[large][n] / picked[small][n]
            bench.told(f"{what} in the store: {large:,} complete over {small:,}", ratio, "x", FLAT)


def main() -> int:
    parser = argparse.ArgumentParser(description="PRPs at scale, against bars, and races beside other trackers.")
    parser.add_argument("--quick", action="store_true", help="1,000 PRPs, fewer rounds, short races; for a look")
    parser.add_argument("--peers", metavar="FOLDERS", default="", help="folders with other trackers' programs")
    parser.add_argument("--only", choices=("scale", "races"), help="one half of it")
    args = parser.parse_args()
    peers = os.pathsep.join(os.path.abspath(p) for p in args.peers.split(os.pathsep) if p)
    bench = Bench(2 if args.quick else 5)
    with tempfile.TemporaryDirectory(prefix="prpgate-bench-") as name:
        folder = Path(name)
        for variable in [v for v in os.environ if v.startswith(("GIT_", "PRP_", "REDIS_"))]:
            del os.environ[variable]
        os.environ.update(HOME=name, XDG_STATE_HOME=f"{name}/state", GIT_CONFIG_NOSYSTEM="1")
        (folder / ".gitconfig").write_text("[user]\n\tname = bench\n\temail = bench@example.org\n")
        own = Embedded(PROJECT, str(folder / "store"))
        own.ensure(10)
        try:
            with redis.Redis(unix_socket_path=own.socket) as r:
                r.config_set("slowlog-log-slower-than", 0)
                r.config_set("slowlog-max-len", 1000)
            if args.only != "races":
                scale(folder, own, bench, (1_000,) if args.quick else SIZES)
            if args.only != "scale":
                bench.missed += prps_races.run(folder, own.socket, peers, quick=args.quick)
        finally:
            own.stop()
    if bench.missed:
        print("missed: " + "; ".join(bench.missed))
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
