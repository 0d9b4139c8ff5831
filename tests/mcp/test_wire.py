"""What is on the wire: schemas and what they cost, resources and their notices, prompts, names, and bad days."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import ResourceUpdatedNotification

import prpgate
from benchmarks import mcp as benchmark
from tests.mcp.conftest import HELLO, ask, connected, ok, play, refused
from tests.world import run

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

TOOLS = ["next", "claim", "update", "complete", "land", "lane", "log", "send", "inbox", "check"]
READ_ONLY = {"next", "lane", "log", "check"}


def test_the_schema_fits_its_budget(tmp_path: Path) -> None:
    answer = ask([sys.executable, "-P", "-m", "prpgate", "mcp", "--path", str(tmp_path)], "tools/list")
    tools = {t["name"]: t for t in answer["tools"]}
    assert list(tools) == TOOLS
    size = benchmark.tokens(answer)
    print(f"{size} tokens at most")
    assert size <= 2500
    assert size > 1000, "the measure sees nothing"
    for name, tool in tools.items():
        hints = tool["annotations"]
        assert hints["readOnlyHint"] is (name in READ_ONLY)
        assert hints["openWorldHint"] is (name == "land")
        assert name in READ_ONLY or {"destructiveHint", "idempotentHint"} <= hints.keys()
        assert tool["description"]
        assert tool["outputSchema"]["type"] == "object"
        assert '"title": {"title"' not in json.dumps(tool)
    assert tools["next"]["outputSchema"]["$defs"]["Brief"]["properties"]["title"] == {"type": "string"}
    assert tools["claim"]["inputSchema"]["properties"]["id"] == {"type": "string"}
    assert tools["update"]["inputSchema"]["required"] == ["id", "action"]


def test_instructions_are_short() -> None:
    from prpgate.messages.mcp import INSTRUCTIONS

    assert len(INSTRUCTIONS) < 800


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_both_generations_of_clients_are_served(project: Project, mode: str) -> None:
    async def work() -> None:
        async with connected(project.ana, mode=mode) as client:
            assert [t.name for t in (await client.list_tools()).tools] == TOOLS
            assert (await ok(client, "lane", name=None))["text"] == "main: free"
            found = {r.uri: r for r in (await client.list_resources()).resources}
            assert "prp://lane/main" in map(str, found)
            assert "prp://prp/P2-040" not in map(str, found)
            await ok(client, "claim", id="P2-040")
            assert "prp://prp/P2-040" in [str(r.uri) for r in (await client.list_resources()).resources]
            templates = (await client.list_resource_templates()).resource_templates
            assert [t.uri_template for t in templates] == ["prp://prp/{id}", "prp://lane/{name}"]
            prp = json.loads((await client.read_resource("prp://prp/P2-040")).contents[0].text)  # type: ignore[union-attr]
            assert (prp["id"], prp["status"]) == ("P2-040", "in_progress")
            lane = json.loads((await client.read_resource("prp://lane/main")).contents[0].text)  # type: ignore[union-attr]
            assert (lane["name"], lane["state"]) == ("main", "free")
            for wrong, said in (("prp://prp/nothing", "nothing"), ("prp://lane/x", "no lane"), ("prp://x/y", "x/y")):
                with pytest.raises(MCPError, match=said):
                    await client.read_resource(wrong)

    play(work())


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_a_resource_that_changes_is_told_of_after_a_handshake(project: Project) -> None:
    async def work() -> None:
        came = asyncio.Queue[str]()

        async def listen(message: Any) -> None:
            if isinstance(message, ResourceUpdatedNotification):
                came.put_nowait(str(message.params.uri))

        async with connected(project.ana, message_handler=listen) as client:
            for uri in ("prp://prp/P2-040", "prp://prp/PRP-1047", "prp://lane/main"):
                await client.subscribe_resource(uri)
            project.ana.prp("start", "P2-040")
            got = set[str]()
            while not {"prp://prp/P2-040", "prp://prp/PRP-1047"} <= got:
                got.add(await asyncio.wait_for(came.get(), 10))
            await client.unsubscribe_resource("prp://prp/P2-040")
            await client.unsubscribe_resource("prp://prp/PRP-1047")
            project.ana.prp("note", "P2-040", "a word")
            project.ana.prp("lane", "close", "--reason", "why")
            assert await asyncio.wait_for(came.get(), 10) == "prp://lane/main"
            assert came.empty()
            await client.subscribe_resource("prp://prp/P2-040")
            with prpgate.connect(str(project.ana.path)) as own:
                store = own.session.store()
                store.redis.hset(store.keys.claims, "P2-040", "{")  # damaged: what it is about is told all the same
                store.redis.xadd(store.keys.events, {"event": "note", "prp": "P2-040", "agent": "x", "detail": ""})
            assert await asyncio.wait_for(came.get(), 10) == "prp://prp/P2-040"

    play(work())


def test_a_resource_that_changes_is_told_of_on_a_stream(project: Project) -> None:
    async def work() -> None:
        async with (
            connected(project.ana, mode="auto") as client,
            client.listen(resource_subscriptions=["prp://prp/P2-040"]) as stream,
        ):
            project.ana.prp("start", "P2-040")
            event = await asyncio.wait_for(anext(aiter(stream)), 10)
            assert isinstance(event, ResourceUpdated)
            assert event.uri == "prp://prp/P2-040"

    play(work())


def test_prompts(project: Project) -> None:
    async def work() -> None:
        async with connected(project.ana) as client:
            prompts = {p.name: p for p in (await client.list_prompts()).prompts}
            assert list(prompts) == ["take_next", "hand_over", "fix_closed_lane"]
            assert prompts["take_next"].title == "Take the next PRP"
            for name, arguments, wanted in (
                ("take_next", {}, "claim {}"),
                ("take_next", {"domain": "web"}, 'claim {"domain": "web"}'),
                ("hand_over", {"id": "P2-040", "to": "ben"}, '{"id": "P2-040", "action": "handover", "to": "ben"'),
                ("fix_closed_lane", {}, 'land {"revert": "last"'),
                ("fix_closed_lane", {"lane": "main"}, 'lane {"name": "main"}'),
            ):
                got = await client.get_prompt(name, arguments)
                assert wanted in got.messages[0].content.text  # type: ignore[union-attr]
                called = set(re.findall(r"(?:Call|call|land) (\w+) \{", got.messages[0].content.text))  # type: ignore[union-attr]
                assert called <= set(TOOLS)

    play(work())


def test_a_client_keeps_its_name_and_its_claims(project: Project) -> None:
    async def name(*options: str, client: str = "Some Client", **env: str) -> str:
        async with connected(project.ana, *options, name=client, env=env) as one:
            return str((await ok(one, "next"))["agent"])

    async def work() -> None:
        async with connected(project.ana, name="Some Client") as one:
            claimed = await ok(one, "claim")
            own = claimed["prp"]["owner"]
            assert own.startswith("ana/some-client-")
            note = claimed["notes"][-1]
            assert note.startswith(f"Commits and pushes of your shell go out as ana@example.org, not as {own}")
        assert await name() == own, "the next one has its name again"
        async with connected(project.ana, name="Some Client") as one:
            assert [p["id"] for p in (await ok(one, "next"))["yours"]] == [claimed["prp"]["id"]]
        assert await name(client="other") != own
        assert await name("--agent", "robo") == "robo"
        assert await name(PRP_AGENT="helga") == "helga"
        project.ana.prp("whoami", "--set", "bo", env={"PRP_AGENT": ""})
        async with connected(project.ana) as one, connected(project.ana) as two:
            assert (await ok(one, "next"))["agent"] == "bo"
            assert (await ok(two, "next"))["agent"] == "bo-2"
            assert (await ok(one, "claim"))["notes"] == []

    play(work())
    assert [p.name for p in (project.ana.path / ".git").glob("prp-mcp-*")]
    project.ana.prp("uninstall", "--all")
    assert [p.name for p in (project.ana.path / ".git").glob("prp-*")] == []


def test_a_claim_is_renewed_while_the_server_runs_and_no_longer(project: Project) -> None:
    project.ana.commit_files("short leases", {"prp.toml": project.ana.read("prp.toml") + "\n[claim]\nagent = 6\n"})
    project.ana.git("push", "-q")

    async def work() -> None:
        with prpgate.connect(str(project.ana.path), agent="looker") as api:
            async with connected(project.ana) as client:
                own = (await ok(client, "claim"))["prp"]["id"]
                until = time.monotonic() + 9
                while time.monotonic() < until:
                    claim = api.prp(own).claim
                    assert claim is not None
                    assert claim.live
                    assert not claim.suspect
                    await asyncio.sleep(0.5)
            until = time.monotonic() + 20
            while (claim := api.prp(own).claim) and not claim.suspect:
                assert time.monotonic() < until
                await asyncio.sleep(0.2)

    play(work())


def test_bad_days_are_tool_errors_and_the_server_lives_on(project: Project, tmp_path: Path) -> None:
    """No repository, no prp.toml, no store: each call says what to do, and works when that was done."""
    bare = tmp_path / "bare"
    bare.mkdir()

    async def work() -> None:
        async with connected(bare) as client:
            assert "Next: in a shell: git init" in (said := await refused(client, "next")) or "git" in said
            assert (await client.list_resources()).resources == []
            run(["git", "clone", "-q", project.remote, "."], bare)
            run(["git", "rm", "-q", "prp.toml"], bare)
            said = await refused(client, "next")
            assert "no prp.toml here" in said
            assert "Next: in a shell: prp init; then the same call again" in said
            run(["git", "reset", "-q", "--hard"], bare)
            await ok(client, "next")
            project.ana.prp("store", "stop")
            said = await refused(client, "lane")
            assert "Next: in a shell: prp store start; then the same call again" in said
            assert "Code: store-" in said
            project.ana.prp("store", "start")
            assert (await ok(client, "lane"))["text"] == "main: free"

    play(work())


def test_a_store_that_is_away_and_comes_back(project: Project) -> None:
    async def work() -> None:
        async with connected(project.ana, env={"REDIS_URL": "unix:///nowhere/socket"}) as client:
            for tool in ("next", "claim", "lane", "log", "inbox", "land"):
                said = await refused(client, tool)
                assert "\nNext: " in said
                assert "Code: store-" in said, said
            assert (await ok(client, "check"))["errors"] == 0, "which asks no store"
            with pytest.raises(MCPError, match="store"):
                await client.read_resource("prp://lane/main")

    play(work())


def test_nothing_but_messages_is_on_the_wire(project: Project) -> None:
    """Garbage in, a hook that shouts, a gate that reads its input: every line out is a message, and all is answered."""
    project.ana.commit("work", one="1")
    project.remote_hook("update", "#!/bin/sh\necho on stdout\necho on stderr >&2\ncat\n")
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}),
        json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        "not json",
        '{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "nothing"}}',
        '{"jsonrpc": "2.0", "id": 3, "method": "no/such/method"}',
        "[" * 5000,
        '{"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "claim", "arguments": {"id": 7}}}',
        '{"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "land", "arguments": {}}}',
        '{"jsonrpc": "2.0", "id": 6, "method": "resources/subscribe", "params": {"uri": "\\u001b[31m"}}',
    ]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "prpgate", "mcp", "--path", str(project.ana.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()
        answers: dict[Any, dict[str, Any]] = {}
        while not {1, 2, 3, 4, 5, 6} <= answers.keys():
            told = json.loads(process.stdout.readline())
            answers[told.get("id")] = told
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait(10) == 0
    assert answers[2].get("error") or answers[2]["result"]["isError"]
    assert answers[3]["error"]["code"] == -32601
    assert answers[4]["result"]["isError"]
    assert answers[5]["result"]["structuredContent"]["landed"] is True
    assert project.tip() == project.ana.head


def test_a_client_that_stops_reading_ends_the_server_in_silence(project: Project) -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "prpgate", "mcp", "--path", str(project.ana.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}) + "\n")
        process.stdin.close()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_who_is_there_is_who_calls(project: Project) -> None:
    """A call through MCP is a sign of life of its agent, not of the person whose clone it is."""

    async def work() -> None:
        async with connected(project.ana, "--agent", "robo") as client:
            await ok(client, "lane")

    play(work())
    with prpgate.connect(str(project.ana.path), agent="looker") as api:
        names = {a.name for a in api.agents()}
    assert "robo" in names
    assert "ana@example.org" not in names


def test_the_page_has_every_tool_and_prompt() -> None:
    page = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text("utf-8")
    table = page.partition("## Tools")[2].partition("## Who it is")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == TOOLS
