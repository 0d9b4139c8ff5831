"""The Python API on a real repository, remote and store: the same verbs, the same truth, safe to cancel."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import prpgate
import prpgate.aio
from prpgate.errors import UsageError, UserError
from tests.world import run

if TYPE_CHECKING:
    from tests.e2e.conftest import Project


def idle(api: prpgate.Project) -> bool:
    """Nobody holds the lane, nobody waits for it."""
    state = api.lane()
    return state.state == "free" and not state.queue


def soon(what: object, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.02)


def standing_by(project: Project) -> list[str]:
    """What the pushes of this project left running."""
    found = []
    for pid in (p for p in os.listdir("/proc") if p.isdigit()):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if any(w.endswith("/pre-push") for w in words) and str(project.remote) in words:
                found.append(pid)
    return found


def test_a_prp_from_ready_to_landed(project: Project) -> None:
    with prpgate.connect(str(project.ana.path), agent="robo") as api:
        assert api.agent == "robo"
        assert len(api.prps()) == 57
        assert "P2-040" in [p.id for p in api.ready().prps]
        assert api.prp("P2-040").status == "validated"
        done = api.start("P2-040")
        assert done.prp.claim is not None
        assert done.prp.claim.agent == "robo"
        assert [p.id for p in api.prps("in_progress") if p.owner == "robo"] == ["P2-040"]
        project.ana.git("commit", "-qam", "feat(P2-040): work")
        landed = api.land(prp="P2-040")
        assert landed.state == "landed"
        assert project.tip() == project.ana.head == landed.sha
        assert api.landings()[0].agent == "robo"
        soon(lambda: not standing_by(project))  # while this process, which landed it, lives on
        smoked = api.smoke()
        assert (smoked.report.result, smoked.recorded) == ("green", True)


def test_what_the_command_line_refuses_the_api_refuses_with_the_same_words(project: Project) -> None:
    with prpgate.connect(str(project.ana.path), agent="robo") as api:
        with pytest.raises(UserError) as refused:
            api.start("P2-020")
        said = project.ana.prp("start", "P2-020", ok=False)
        assert refused.value.message.split(".")[0] in said.text
        assert str(refused.value.next_action) in said.text
        with pytest.raises(UserError, match="nothing-like-it"):
            api.prp("nothing-like-it")


def test_a_folder_without_prp_toml_is_found_out_at_once(repo: Path) -> None:
    with pytest.raises(UsageError, match=r"no prp\.toml"):
        prpgate.connect(str(repo))


def test_a_held_lane_lets_nobody_land(project: Project) -> None:
    ben = project.join("ben")
    ben.commit("work", one="1")
    with prpgate.connect(str(project.ana.path), agent="robo") as api:
        with api.hold(wait_s=5) as held:
            assert not held.lost()
            refused = ben.git("push", ok=False)
            assert "main is held by robo" in refused.text
            again = prpgate.connect(str(project.ana.path), agent="robo")
            with pytest.raises(UserError, match="held"), again.hold(wait_s=0):
                raise AssertionError("two holders")
            again.close()
        assert api.lane().holder is None  # free; ben's place is kept
    ben.git("push")


def test_after_a_wipe_the_lane_is_given_to_nobody_for_a_lease(project: Project) -> None:
    """What held it before may still be pushing."""
    with prpgate.connect(str(project.ana.path), agent="robo") as api:
        store = api.session.store()
        store.be_quiet(60_000)
        with pytest.raises(UserError, match="adopted anew"), api.hold(wait_s=5):
            raise AssertionError("held while somebody may be pushing")
        assert idle(api)
        store.redis.delete(store.keys.quiet)
        with api.hold(wait_s=5) as held:
            assert not held.lost()


def test_a_hold_that_is_broken_says_so(project: Project) -> None:
    with prpgate.connect(str(project.ana.path), agent="robo") as api, api.hold(wait_s=5) as held:
        assert api.break_lock(held.lease.fence + 1, "not this one") is False
        assert api.break_lock(held.lease.fence, "robo hangs") is True
        assert api.lane().state == "free"
        assert api.lane_log()[0].event == "break"


def test_a_waiter_is_stopped_from_another_thread_at_once(project: Project) -> None:
    from prpgate.api import Stop

    with prpgate.connect(str(project.ana.path), agent="one") as one, one.hold(wait_s=5):
        two, stop, ended = prpgate.connect(str(project.ana.path), agent="two"), Stop(), []

        def wait() -> None:
            try:
                with two.hold(wait_s=60, stop=stop):
                    ended.append("got it")
            except UserError as e:
                ended.append(e.code)

        thread = threading.Thread(target=wait)
        thread.start()
        soon(lambda: one.lane().queue)
        begun = time.monotonic()
        stop.now()
        thread.join(10)
        assert ended == ["held"]
        assert time.monotonic() - begun < 4  # a waiter that is not woken sleeps for eight seconds
        assert not one.lane().queue
        two.close()


def test_the_same_verbs_awaited(project: Project) -> None:
    async def work() -> None:
        async with prpgate.aio.connect(str(project.ana.path), agent="robo") as api:
            assert len(await api.prps()) == 57
            done = await api.start("P2-040")
            assert done.prp.claim is not None
            project.ana.git("commit", "-qam", "feat(P2-040): work")
            landed = await api.land(prp="P2-040", wait_s=30)
            assert landed.state == "landed"
            assert landed.sha == project.ana.head
            with pytest.raises(UserError, match="complete"):
                await api.start("P2-020")

    asyncio.run(work())


def test_a_refused_landing_is_the_same_exception(project: Project) -> None:
    async def work() -> None:
        async with prpgate.aio.connect(str(project.ana.path), agent="robo") as api:
            await api.close_lane("a bad day")
            project.ana.commit("work", one="1")
            with pytest.raises(UserError, match="a bad day") as refused:
                await api.land(wait_s=5)
            assert refused.value.next_action

    asyncio.run(work())


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.3, 1.0])
def test_a_cancelled_hold_leaves_nothing_behind(project: Project, after_s: float) -> None:
    """Cancelled while it waits, while it is granted, and inside the block."""

    async def work(api: prpgate.aio.Project) -> None:
        async with api.hold(wait_s=60):
            await asyncio.sleep(60)

    async def cancelled(wanted: bool) -> None:
        async with prpgate.aio.connect(str(project.ana.path), agent="two") as two:
            with contextlib.ExitStack() as stack:
                one = stack.enter_context(prpgate.connect(str(project.ana.path), agent="one"))
                if wanted:
                    stack.enter_context(one.hold(wait_s=5))
                task = asyncio.create_task(work(two))
                await asyncio.sleep(after_s)
                task.cancel()
                begun = time.monotonic()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert time.monotonic() - begun < 5
                assert not one.lane().queue
            assert idle(one)
            one.close()

    asyncio.run(cancelled(wanted=True))
    asyncio.run(cancelled(wanted=False))


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.6, 1.5])
def test_a_cancelled_landing_has_landed_or_left_nothing(project: Project, after_s: float) -> None:
    async def work() -> None:
        async with prpgate.aio.connect(str(project.ana.path), agent="robo") as api:
            task = asyncio.create_task(api.land())
            await asyncio.sleep(after_s)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    project.ana.commit("work", one="1")
    asyncio.run(work())
    with prpgate.connect(str(project.ana.path)) as api:
        soon(lambda: idle(api), 35)
        there = project.tip() == project.ana.head
        assert there == any(x.sha == project.ana.head and x.found == "landed" for x in api.landings())


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.05, 0.2])
def test_a_cancelled_verb_was_done_or_not(project: Project, after_s: float) -> None:
    """Never half: store and working tree say the same, and the same call again is answered."""

    async def work() -> None:
        async with prpgate.aio.connect(str(project.ana.path), agent="robo") as api:
            task = asyncio.create_task(api.start("P2-040"))
            await asyncio.sleep(after_s)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            claimed = (await api.prp("P2-040")).claim is not None
            assert claimed == ("owner: robo" in project.ana.read(".claude/prp_tracking/prp_status.yaml"))
            done = await api.start("P2-040")
            assert done.prp.claim is not None
            assert done.already == claimed

    asyncio.run(work())


def test_events_as_they_come(project: Project) -> None:
    async def work() -> list[str]:
        seen: list[str] = []
        async with prpgate.aio.connect(str(project.ana.path), agent="robo") as api:

            async def listen() -> None:
                async for event in api.follow():
                    seen.append(event.event)
                    if event.event == "started":
                        return

            task = asyncio.create_task(listen())
            await asyncio.sleep(0.5)
            await api.start("P2-040")
            await asyncio.wait_for(task, 10)
        return seen

    assert asyncio.run(work()) == ["started"]


def test_async_has_every_verb() -> None:
    def verbs(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    only_here = {"session", "name", "path", "listen"}  # waiting for a message is `follow` there
    assert verbs(prpgate.Project) - only_here == verbs(prpgate.aio.Project)


def test_what_is_ready_is_what_would_be_picked(project: Project) -> None:
    with prpgate.connect(str(project.ana.path), agent="robo") as robo:
        first, then, last = (p.id for p in robo.ready().prps[:3])
        robo.block(first, "the licence is missing")
        robo.assign(then, "helga")
        assert [p.id for p in robo.ready().prps][:1] == [last]
        why = {p.id: text for p, text in robo.ready().waiting}
        assert "the licence is missing" in why[first] and "helga" in why[then]
        assert robo.claim_next().prp.id == last


def test_claims_and_messages(project: Project) -> None:
    ben = project.join("ben")
    with (
        prpgate.connect(str(project.ana.path), agent="robo") as robo,
        prpgate.connect(str(ben.path), agent="helga") as helga,
    ):
        first, second = robo.claim_next().prp, helga.claim_next().prp
        assert first.id != second.id
        assert {p.id: p.owner for p in robo.prps("in_progress") if p.claim} == {first.id: "robo", second.id: "helga"}
        robo.note(first.id, "half of it is done")
        assert [n.text for n in helga.notes(first.id)] == ["half of it is done"]
        with pytest.raises(UserError, match="robo"):
            helga.start(first.id)
        assert robo.release(first.id).prp.claim is None
        assert helga.send("robo", "take this one", prp=second.id).due == 1
        found = robo.listen(timeout_s=10)
        assert found is not None
        assert [(m.sender, m.text) for m in found.messages] == [("helga", "take this one")]
        assert robo.acknowledge([m.id for m in found.messages]).unread == 0
        assert [m.text for m in robo.inbox("read").messages] == ["take this one"]
        with pytest.raises(UserError, match="unread, read, sent"):
            robo.inbox("all")
        assert {a.name for a in robo.agents()} >= {"robo", "helga"}
        assert robo.why("P2-020")
        assert robo.verify("P2-020")
        assert robo.history(second.id, count=5)


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1])
def test_a_cancelled_pick_gives_back_what_it_got(project: Project, after_s: float) -> None:
    async def work() -> None:
        async with prpgate.aio.connect(str(project.ana.path), agent="robo") as api:
            task = asyncio.create_task(api.claim_next())
            await asyncio.sleep(after_s)
            task.cancel()
            got: list[str] = []
            with contextlib.suppress(asyncio.CancelledError):
                got = [(await task).prp.id]  # it was done before
            assert [p.id for p in await api.prps() if p.claim] == got

    asyncio.run(work())


@pytest.mark.parametrize("after_s", [0.0, 0.1])
def test_a_cancelled_pick_of_what_was_handed_over_leaves_it_ones_own(project: Project, after_s: float) -> None:
    with prpgate.connect(str(project.ana.path), agent="helga") as helga:
        given = helga.claim_next().prp.id
        helga.handover(given, "robo", force=True)

    async def work() -> None:
        async with prpgate.aio.connect(str(project.ana.path), agent="robo") as api:
            task = asyncio.create_task(api.claim_next())
            await asyncio.sleep(after_s)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            claim = (await api.prp(given)).claim
            assert claim is not None and claim.agent == "robo"

    asyncio.run(work())


def test_importing_the_package_costs_a_hook_nothing() -> None:
    code = "import sys, prpgate; print([n for n in ('asyncio', 'redis', 'prpgate.api') if n in sys.modules])"
    assert run([sys.executable, "-c", code], os.getcwd()).out.strip() == "[]"
    code = "import prpgate; print(prpgate.connect.__module__); prpgate.nothing"
    said = run([sys.executable, "-c", code], os.getcwd(), ok=False)
    assert said.out.strip() == "prpgate.api"
    assert "has no attribute 'nothing'" in said.err
