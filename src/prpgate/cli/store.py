"""redis-status, redis-sync, store start|stop|status|adopt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .. import ops, policy
from ..errors import OK, STORE_DOWN, StoreDown, UserError
from ..gitrepo import Repo
from ..messages import lane as words

if TYPE_CHECKING:
    import argparse

    from ..output import Output
    from ..store.embedded import Embedded


def redis_status(args: argparse.Namespace, out: Output) -> int:
    """Never an error by itself: an unreachable store is an answer too, with exit code 4."""
    session = ops.Session(url=args.redis_url)
    config = session.config
    out.say("Redis Status", colour="bold")
    try:
        store = session.store(timeout_s=2.0)
    except StoreDown as e:
        from ..store import discover

        out.say("  Connection: not available", colour="red")
        out.say("  Enabled: True")
        for line in discover.tried(config, session.repo.top, args.redis_url):
            out.say(f"  {line}")
        if out.json:
            shape = {"connected": False, "enabled": True, "url": None, "rule": None, "store_id": config.store_id}
            out.refused_with(e.message, e.code, e.next_action, hint=e.hint, latency_ms=None, server=None, **shape)
            return STORE_DOWN
        out.refuse(e)
        return STORE_DOWN
    latency = store.ping_ms()
    server = store.server()
    out.say("  Connection: available", colour="green")
    out.say("  Enabled: True")
    out.say("  Helper Available: True")
    out.say(f"  URL: {store.url}")
    out.say(f"  Found by: {store.rule}")
    out.say(f"  Store: {store.store_id or 'no id yet'} (scope {config.store_scope})")
    out.say(f"  Server: {server}, answered in {latency:.1f} ms")
    out.say("✅ Redis coordination fully operational", colour="green")
    out.answer(
        connected=True,
        enabled=True,
        url=store.url,
        rule=store.rule,
        store_id=store.store_id,
        latency_ms=round(latency, 2),
        server=server,
    )
    return OK


def redis_sync(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    session = ops.Session(url=args.redis_url)
    out.progress("syncing …")
    report = prps.sync(session.repo, session.store(), session.config)
    out.say(
        f"Synced: {words.counted(report.synced, 'PRP')} ({len(report.changed)} changed, {report.unchanged} unchanged)",
        colour="green",
    )
    for prp_id, seal, status in report.landed:
        out.say(f"  landed: {prp_id} {status} ({seal})")
    for prp_id, text in report.conflicts:
        out.say(f"  conflict: {prp_id}: {text}", colour="yellow")
    if report.note:
        out.say(report.note)
    then = "prp sync" if report.conflicts else None  # says what stands against what, and how to settle it
    if then:
        out.say(f"  {then}")
    out.answer(**ops.sync_json(report), next_action=then)
    return OK


def _embedded() -> Embedded:
    from ..store.embedded import Embedded

    config = policy.require(Repo.found())
    if config.store_scope != "machine":
        raise UserError(
            "this project shares a store (scope team): there is no store of this machine.",
            code="scope",
            next_action="prp redis-status",
        )
    return Embedded(config.project)


def start(args: argparse.Namespace, out: Output) -> int:
    server = _embedded()
    server.allow()
    ops.Session().store()  # starts it on demand, and makes it the project's store when it is new
    return _tell(server, out)


def stop(args: argparse.Namespace, out: Output) -> int:
    if args.all:
        from ..store import folders
        from ..store.embedded import stop_all

        pids = stop_all(folders.state_folder())
        out.say(f"Stopped: {len(pids)}. Their data stay, and each starts again on demand.")
        out.answer(stopped=bool(pids), pids=pids, next_action=None)
        return OK
    stopped = _embedded().stop(for_good=True) is not None
    was = "The store is stopped" if stopped else "The store was not running"
    out.say(f"{was}; its data stay. Until it is started again pushes to lanes are refused; commits go through.")
    out.say("  prp store start")
    out.answer(stopped=stopped, next_action="prp store start")
    return OK


def status(args: argparse.Namespace, out: Output) -> int:
    return _tell(_embedded(), out)


def _tell(server: Embedded, out: Output) -> int:
    s = server.status()
    if s.running:
        memory = f"{(s.memory_bytes or 0) // 1024} kB in memory"
        out.say(f"running: pid {s.pid}, up {s.uptime_s} s, {memory}", colour="green")
    else:
        since = server.stopped_since()
        if since is None:
            out.say("not running; it starts by itself when it is needed")
        else:
            out.say(f"stopped by `prp store stop` ({words.clock(since - time.time())}); it starts again with:")
            out.say("  prp store start")
    out.say(f"data:    {server.data} ({s.data_bytes // 1024} kB)")
    out.say(f"socket:  {server.socket}")
    out.answer(**s._asdict(), data=server.data, socket=server.socket)
    return OK


def adopt(args: argparse.Namespace, out: Output) -> int:
    from ..store import client

    session = ops.Session(url=args.redis_url)
    config = session.config
    store = client.connect(config, session.repo.top, url=args.redis_url, timeout_s=5.0, adopt_check=False)
    before = client.adopt(store, config.store_id, replace=args.replace)
    if before == config.store_id:
        out.say(f"{store.url} is the store of {config.project} already.")
    else:
        store.be_quiet(config.times.lease_ms)
        out.say(f"{store.url} is now the store of {config.project}.", colour="green")
        out.say(f"Pushes to lanes are let go from {words.clock(config.times.lease_ms / 1000)} on.")
        out.say("  prp redis-sync")
    out.answer(url=store.url, store_id=config.store_id, before=before, next_action="prp redis-sync")
    return OK
