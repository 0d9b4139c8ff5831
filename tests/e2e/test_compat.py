"""What the earlier system's documents promised, under its own names, in a copy of its layout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import Project
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Clone, Result

COMMAND = ".claude/prp_tracking/cli_commands.py"


@pytest.fixture
def shims(project: Project) -> Project:
    project.ana.prp("init", "--yes", "--ancestor-shims")
    return project


def python(clone: Clone, code: str, **more: object) -> Result:
    """A script at the top of the clone, as the earlier system's were run."""
    (clone.path / "script.py").write_text(code)
    warnings = {"PYTHONWARNINGS": "ignore::DeprecationWarning", **clone.env}
    return run([sys.executable, "script.py"], clone.path, env=warnings, **more)  # type: ignore[arg-type]


def test_its_command_prints_what_it_promised(shims: Project) -> None:
    said = run([sys.executable, COMMAND, "redis-status"], shims.ana.path, env=shims.ana.env).out
    for line in ("Redis Status", "Connection: available", "Enabled: True", "Helper Available: True", "URL: unix://"):
        assert line in said
    assert "✅ Redis coordination fully operational" in said
    assert "Synced: 57 PRPs" in run([sys.executable, COMMAND, "redis-sync"], shims.ana.path, env=shims.ana.env).out
    started = run([sys.executable, COMMAND, "start", "P2-040"], shims.ana.path, env=shims.ana.env)
    assert "P2-040 is yours" in started.out
    done = run([sys.executable, COMMAND, "complete", "P2-040", "--commit", "HEAD"], shims.ana.path, env=shims.ana.env)
    assert "not taken on trust" in done.err
    assert "completing" in done.out
    assert "main" in run([sys.executable, COMMAND, "redis-merge-status"], shims.ana.path, env=shims.ana.env).out
    refused = run([sys.executable, COMMAND, "start", "P2-020"], shims.ana.path, env=shims.ana.env, ok=False)
    assert refused.code == 1
    assert "prp reopen P2-020" in refused.text


def test_its_snippet_runs(shims: Project) -> None:
    said = python(
        shims.ana,
        "import asyncio, json, sys\n"
        "from redis_cli import sync_redis, prp_redis\n"
        "sys.path.insert(0, '.claude/prp_tracking')\n"
        "from redis_enhanced_state_manager import RedisEnhancedStateManager\n"
        "status = RedisEnhancedStateManager().get_redis_status()\n"
        "wrote = sync_redis.set('test_helper', 'works', ttl=10)\n"
        "state = asyncio.run(prp_redis.get_prp_state('P2-020'))\n"
        "found = [sync_redis.get('test_helper'), sync_redis.get('nothing')]\n"
        "print(json.dumps([status, wrote, *found, state['state']]))\n",
    )
    status, wrote, value, nothing, state = json.loads(said.out)
    assert (status["connected"], status["enabled"], status["helper_available"]) == (True, True, True)
    assert status["url"].startswith("unix://")
    assert (wrote, value, nothing, state) == (True, "works", None, "complete")


def test_its_lists_give_what_came_first(shims: Project) -> None:
    said = python(
        shims.ana,
        "import asyncio\nfrom redis_cli import prp_redis, agent_redis\n"
        "async def go():\n"
        "    n = [await prp_redis.add_to_integration_queue(i) for i in ('P1', 'P2')]\n"
        "    first = await prp_redis.get_next_for_integration(timeout=1)\n"
        "    second = await prp_redis.get_next_for_integration(timeout=1)\n"
        "    third = await prp_redis.get_next_for_integration(timeout=1)\n"
        "    await agent_redis.set_agent_status('pm-1', 'busy', 'P1')\n"
        "    await agent_redis.heartbeat('pm-1')\n"
        "    all_ = await agent_redis.get_all_agents()\n"
        "    print(n, first, second, third, [(a['agent_id'], a['status']) for a in all_],\n"
        "          0 < await agent_redis.ttl('pm-1:heartbeat') <= 300)\n"
        "asyncio.run(go())\n",
    )
    assert said.out.strip() == "[1, 2] P1 P2 None [('pm-1', 'busy')] True"


def test_its_messages_wait_until_they_are_taken(shims: Project) -> None:
    ben = shims.join("ben")
    bus = "import asyncio\nfrom redis_cli import RedisMessageBus\nasync def go():\n    bus = RedisMessageBus()\n"
    for clone in (shims.ana, ben):  # a broadcast is for those who are known
        clone.prp("agents")
    shims.ana.git("add", "-A")
    shims.ana.git("commit", "-qm", "old names")
    shims.ana.git("push", "-q")
    shims.settle()
    ben.git("pull", "-q")
    python(shims.ana, bus + "    await bus.send('ben', {'task': 'P2-040'}, 'high')\n    await bus.broadcast('all')\n"
           "asyncio.run(go())\n")  # fmt: skip
    said = python(ben, bus + "    print(len(await bus.receive()), await bus.receive())\nasyncio.run(go())\n")
    assert said.out.split() == ["2", "[]"]


def test_who_waits_for_messages_keeps_no_other_call_of_the_process_waiting(shims: Project) -> None:
    ben = shims.join("ben")
    said = python(
        ben,
        "import asyncio, prpgate\nfrom prpgate.compat import RedisMessageBus, agent_redis\n"
        "def asleep():\n    with prpgate.connect() as project:\n"
        "        while not project.session.store().redis.info('clients')['blocked_clients']: pass\n"
        "async def go():\n    bus = RedisMessageBus()\n    waiting = asyncio.create_task(bus.receive(None))\n"
        "    await asyncio.to_thread(asleep)\n"
        "    print(await asyncio.wait_for(agent_redis.heartbeat('ben'), 60), waiting.done(), flush=True)\n"
        "    def send():\n        with prpgate.connect(agent='ana') as ana: ana.send('ben', 'go on')\n"
        "    await asyncio.to_thread(send)\n    print([m['message'] for m in await waiting])\nasyncio.run(go())\n",
    )
    assert said.out.splitlines() == ["True False", "['go on']"]


def test_the_merge_lock_is_the_lanes_and_only_its_owner_gives_it_back(shims: Project) -> None:
    ben = shims.join("ben")
    lock = "import asyncio\nfrom prpgate.compat import prp_redis\nasync def go():\n"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            lock + "    print(await prp_redis.acquire_merge_lock('P2-040'))\n"
            "    print(await prp_redis.get_merge_lock_owner(), flush=True)\n    input()\n"
            "    print(await prp_redis.release_merge_lock(), flush=True)\nasyncio.run(go())\n",
        ],
        cwd=shims.ana.path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert [holder.stdout.readline().strip() for _ in range(2)] == ["True", "P2-040"]
        other = python(
            ben,
            lock + "    print(await prp_redis.acquire_merge_lock('P2-041'), await prp_redis.release_merge_lock(),\n"
            "          await prp_redis.release_merge_lock('P2-040'), await prp_redis.get_merge_lock_owner())\n"
            "asyncio.run(go())\n",
        )
        assert other.out.strip() == "False False False P2-040"
        assert "belongs to" in other.err
        ben.commit("work", one="1")
        assert "main is held by" in ben.git("push", ok=False).text
        out, _ = holder.communicate("\n", timeout=20)
        assert out.strip() == "True"
    finally:
        holder.kill()
        holder.communicate()
    ben.git("push")


def test_after_a_wipe_the_merge_lock_is_given_to_nobody_for_a_lease(shims: Project) -> None:
    said = python(
        shims.ana,
        "import asyncio, prpgate\n"
        "from prpgate.compat import prp_redis\n"
        "store = prpgate.connect().session.store()\n"
        "store.be_quiet(60_000)\n"
        "quiet = asyncio.run(prp_redis.acquire_merge_lock('P2-040'))\n"
        "store.redis.delete(store.keys.quiet)\n"
        "print(quiet, asyncio.run(prp_redis.acquire_merge_lock('P2-040')))\n",
    )
    assert said.out.split()[-2:] == ["False", "True"], said


def test_giving_the_merge_lock_back_while_somebody_waits_is_told_as_it_is(shims: Project) -> None:
    ben = shims.join("ben")
    lock = "import asyncio\nfrom prpgate.compat import prp_redis\n"
    scripts = {
        shims.ana: lock + "print(asyncio.run(prp_redis.acquire_merge_lock('P2-040')), flush=True)\ninput()\n"
        "print(asyncio.run(prp_redis.release_merge_lock('P2-040')), flush=True)\n",
        ben: "import prpgate\nwith prpgate.connect() as project, project.hold(wait_s=60):\n    print('held')\n",
    }
    running = []
    try:
        for clone, code in scripts.items():
            command = [sys.executable, "-W", "ignore", "-c", code]
            env = {**os.environ, **clone.env}
            pipe = subprocess.PIPE
            running.append(subprocess.Popen(command, cwd=clone.path, env=env, text=True, stdin=pipe, stdout=pipe))
            if clone is shims.ana:
                assert running[0].stdout is not None and running[0].stdout.readline().strip() == "True"
        until = time.monotonic() + 60
        while not json.loads(ben.prp("lock", "status", "--json").out)["lanes"][0]["queue"]:
            assert time.monotonic() < until
        assert running[0].communicate("\n", timeout=60)[0].strip() == "True"
        assert running[1].communicate(timeout=60)[0].strip() == "held"
    finally:
        for process in running:
            process.kill()
            process.communicate()


def test_of_two_scripts_of_one_agent_one_has_the_merge_lock(shims: Project) -> None:
    lock = "import asyncio\nfrom prpgate.compat import prp_redis\n"
    ask = "print(asyncio.run(prp_redis.acquire_merge_lock('P2-040')), flush=True)\n"
    give = "print(asyncio.run(prp_redis.release_merge_lock('P2-040')), flush=True)\n"
    holder = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", lock + ask + "input()\n"],
        cwd=shims.ana.path,
        env={**os.environ, **shims.ana.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        other = python(shims.ana, lock + ask + give)
        assert other.out.split() == ["False", "False"]
        assert "another running process of ana" in other.err
    finally:
        holder.communicate("\n", timeout=20)
    assert python(shims.ana, lock + give).out.split() == ["True"]  # left behind: it may be given back, or gone on with
    shims.settle()
    assert python(shims.ana, lock + ask).out.split() == ["True"]
    assert python(shims.ana, lock + ask + give).out.split() == ["True", "True"]


def test_a_lock_whose_process_was_killed_ends_with_its_lease(tmp_path: Path) -> None:
    project = Project(tmp_path, settings={"[lane]\n": "[lane]\nlease = 3\n"})
    holder = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            "import asyncio, time\nfrom prpgate.compat import prp_redis\n"
            "print(asyncio.run(prp_redis.acquire_merge_lock('P2-040')), flush=True)\ntime.sleep(60)\n",
        ],
        cwd=project.ana.path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        time.sleep(5)  # longer than its lease: it is renewed
        assert json.loads(project.ana.prp("lock", "status", "--json").out)["lanes"][0]["state"] == "held"
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    project.settle()


def test_a_store_that_is_away_is_no_answer(shims: Project) -> None:
    shims.ana.prp("store", "stop")
    said = python(
        shims.ana,
        "from prpgate.compat import sync_redis, RedisEnhancedStateManager\nfrom prpgate.errors import StoreDown\n"
        "print(sync_redis.ping(), RedisEnhancedStateManager().get_redis_status()['connected'])\n"
        "try:\n    sync_redis.get('x')\nexcept StoreDown:\n    print('down')\n",
    )
    assert said.out.split() == ["False", "False", "down"]


def test_states_move_only_as_the_verbs_allow(shims: Project) -> None:
    said = python(
        shims.ana,
        "from prpgate.compat import get_redis_state_manager\nm = get_redis_state_manager()\n"
        "print(m.transition_prp('P2-020', 'in_progress')[0])\n"
        "print(m.transition_prp('P2-040', 'in_progress'))\n"
        "print(m.transition_prp('P2-040', 'perfect'))\n"
        "print(m.get_next_prp().status, len(m.list_prps()), m.sync_all_to_redis()['synced'])\n",
    )
    lines = said.out.splitlines()
    assert lines[0] == "False"
    assert lines[1] == "(True, 'P2-040 is in_progress')"
    assert lines[2].startswith("(False,")
    assert "verbs" in lines[2]
    assert lines[3] == "validated 57 57"


def test_files_are_written_once_and_never_over_work_that_git_does_not_have(project: Project) -> None:
    old = "print('the old one')\n"
    project.ana.commit_files("old", {"redis_cli.py": old})
    project.ana.write("redis_cli.py", old + "# changed\n")
    refused = project.ana.prp("init", "--yes", "--ancestor-shims", ok=False)
    assert refused.code == 1
    assert "redis_cli.py is there" in refused.text
    assert project.ana.read("redis_cli.py") == old + "# changed\n"
    assert not (project.ana.path / COMMAND).exists()
    project.ana.git("checkout", "-q", "--", "redis_cli.py")
    assert "Wrote redis_cli.py." in project.ana.prp("init", "--yes", "--ancestor-shims").out
    again = project.ana.prp("init", "--yes", "--ancestor-shims").out
    assert "Wrote" not in again
    assert "git add" in again  # written, and not committed yet
    project.ana.git("add", "-A")
    project.ana.git("commit", "-qm", "old names")
    said = project.ana.prp("init", "--yes", "--ancestor-shims").out
    assert "git add" not in said
    assert "ommit them" not in said


def test_one_that_was_written_and_then_edited_is_not_overwritten(shims: Project) -> None:
    edited = shims.ana.read("redis_cli.py") + "# ours\n"
    shims.ana.git("add", "-A")
    shims.ana.git("commit", "-qm", "old names")
    shims.ana.write("redis_cli.py", edited)
    refused = shims.ana.prp("init", "--yes", "--ancestor-shims", ok=False)
    assert "redis_cli.py is there" in refused.text
    assert shims.ana.read("redis_cli.py") == edited
    shims.ana.git("rm", "-qf", "redis_cli.py")
    shims.ana.git("reset", "-q")
    said = shims.ana.prp("init", "--yes", "--ancestor-shims").out  # again what git has
    assert "Wrote redis_cli.py." in said
    assert "git add" not in said


def test_without_the_package_the_files_say_what_to_type(shims: Project, tmp_path: Path) -> None:
    run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], tmp_path)
    for name in ("redis_cli.py", COMMAND):
        said = run([tmp_path / "bare" / "bin" / "python", name], shims.ana.path, ok=False)
        assert said.code == 1
        assert "python -m pip install PATH_OF_A_CHECKOUT" in said.err and "Traceback" not in said.err


def test_doctor_names_what_old_scripts_still_write(shims: Project) -> None:
    assert "old scripts" not in shims.ana.prp("doctor", ok=False).out
    python(
        shims.ana,
        "import prpgate\nwith prpgate.connect() as p:\n    r = p.session.store().redis\n"
        "    r.set('prp:merge:lock', 'P2-020')\n    r.set('leadfactory:last_full_sync', 'x')\n",
    )
    said = shims.ana.prp("doctor", ok=False).out
    assert "old scripts write to this server" in said
    assert "prp:merge:lock, leadfactory:last_full_sync" in said
