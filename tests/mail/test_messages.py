"""What mail promises: kept until acknowledged, one copy, one acknowledgement, refused rather than dropped."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import events, mail, registry
from prpgate.errors import StoreDown, UserError
from prpgate.messages import mail as say
from tests.mail import CONFIG, PROJECT, Post, asleep
from tests.mail.relay import Relay

if TYPE_CHECKING:
    from tests.world import Server

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def post(server: Server) -> Post:
    return Post(server)


def test_a_message_stays_until_it_is_acknowledged(post: Post) -> None:
    post.join("ann", "ben")
    sent = post.send("ann", "ben", "one", prp="P1-001")
    assert (sent.known, sent.due, sent.already) == (True, 1, False)
    assert post.texts("ben") == post.texts("ben") == ["one"]
    assert post.texts("ann") == []
    (mine,) = post.inbox("ann", "sent").messages
    assert (mine.due, mine.acked) == (("ben",), {})
    done = post.ack("ben", sent.id, "m-none")
    assert (done.acked, done.already, done.unknown, done.unread) == ([sent.id], [], ["m-none"], 0)
    assert post.ack("ben", sent.id) == mail.Acked([], [sent.id], [], 0)
    assert post.texts("ben") == []
    assert post.texts("ben", "read") == ["one"]
    assert list(post.inbox("ann", "sent").messages[0].acked) == ["ben"]


def test_nobody_acknowledges_for_somebody_else(post: Post) -> None:
    sent = post.send("ann", "ben")
    assert post.ack("cat", sent.id).unknown == [sent.id]
    assert post.texts("ben") == ["hello"]


def test_urgent_first_then_the_oldest(post: Post) -> None:
    for text, priority in (("1", "low"), ("2", "normal"), ("3", "urgent"), ("4", "high"), ("5", "urgent")):
        post.send("ann", "ben", text, priority=priority)
    assert post.texts("ben") == ["3", "5", "4", "2", "1"]


def test_a_broadcast_is_stored_once_and_each_acknowledges_for_itself(post: Post) -> None:
    post.join("ann", "ben", "cat")
    sent = post.send("ann", "@all", "to all")
    assert sent.due == 2
    assert post.store.redis.xlen(post.store.keys.mail_shared) == 1
    assert [post.texts(n) for n in ("ann", "ben", "cat")] == [[], ["to all"], ["to all"]]
    post.ack("ben")
    assert [post.texts(n) for n in ("ben", "cat")] == [[], ["to all"]]
    post.ack("cat")
    assert sorted(post.inbox("ann", "sent").messages[0].acked) == ["ben", "cat"]


def test_a_role_is_read_by_who_has_it(post: Post) -> None:
    post.join("ann", "cat")
    registry.beat(post.store, post.me("ben"), role="reviewer")
    assert post.send("ann", "@reviewer", "please").due == 1
    assert (post.texts("ben"), post.texts("cat")) == (["please"], [])
    registry.beat(post.store, post.me("ben"), role="")
    assert post.texts("ben") == ["please"], "it was waited for when it was sent"
    assert mail.inbox(post.store, post.me("cat", "reviewer")).unread == 1, "a role of prp.toml"


def test_who_comes_late_reads_broadcasts_of_the_last_day(post: Post) -> None:
    post.join("ann")
    post.send("ann", "@all", "welcome")
    assert post.texts("late") == ["welcome"]
    post.age("late", since=-2 * DAY_MS)  # came two days after it
    assert post.texts("late") == []


def test_a_name_that_nobody_has_gets_a_mailbox_and_near_names(post: Post) -> None:
    post.join("reviewer-bot")
    sent = post.send("ann", "Reviewer-bto", "for later")
    assert (sent.known, sent.near) == (False, ("reviewer-bot",))
    assert post.texts("Reviewer-bto") == ["for later"]


def test_the_same_id_is_never_sent_twice(post: Post) -> None:
    first = post.send("ann", "ben", "once", id="m-1")
    again = post.send("ann", "ben", "once", id="m-1")
    assert (first.already, again.already) == (False, True)
    assert post.texts("ben") == ["once"]
    post.ack("ben")
    assert post.send("ann", "ben", "once", id="m-1").already, "also after it was acknowledged"
    assert post.texts("ben") == []
    with pytest.raises(UserError) as e:
        post.send("ann", "ben", "another", id="m-1")
    assert e.value.code == "id-taken"


def test_mail_that_nobody_may_ever_read_fills_no_store(post: Post) -> None:
    post.join("ann", "benjamin")
    for n in range(20):
        post.send("ann", "benjamim", str(n))
    with pytest.raises(UserError) as e:
        post.send("ann", "benjamim", "one too many")
    assert e.value.code == "mailbox-full" and "Did you mean benjamin?" in e.value.message
    for n in range(99):
        post.send("ann", f"nobody-{n}", "hello")
    with pytest.raises(UserError) as e:
        post.send("ann", "nobody-99", "hello")
    assert e.value.code == "mailbox-full"
    post.send("ann", "nobody-7", "to one of them: still taken")
    post.send("ann", "benjamin", "and to everybody who is there")
    post.join("benjamim")
    assert len(post.texts("benjamim")) == 20, "nothing that was taken is lost"
    post.send("ann", "benjamim", "an agent as any other")
    post.send("ann", "nobody-99", "and there is room for another stranger")


def test_a_full_mailbox_refuses_and_drops_nothing(post: Post) -> None:
    post.join("ben")
    for n in range(500):
        post.send("ann", "ben", str(n))
    with pytest.raises(UserError) as e:
        post.send("ann", "ben", "one too many")
    assert e.value.code == "mailbox-full"
    found = post.inbox("ben")
    assert (found.unread, len(found.messages), found.messages[0].text) == (500, mail.PAGE, "0")
    post.ack("ben", found.messages[0].id)
    post.send("ann", "ben", "there is room again")
    assert post.inbox("ben").unread == 500


def test_full_of_broadcasts_that_somebody_lacks_it_refuses_and_makes_room_once_all_have_them(post: Post) -> None:
    post.join("ann", "ben", "gone")
    for n in range(200):
        post.send("ann", "@all", str(n))
    while post.ack("ben").unread:
        pass
    with pytest.raises(UserError) as e:
        post.send("ann", "@all", "one too many")
    assert e.value.code == "mailbox-full"
    assert post.inbox("gone").unread == 200
    post.store.redis.hdel(post.store.keys.agents, "gone")  # what the reap does after 30 days
    post.send("ann", "@all", "room again")
    assert post.texts("ben") == ["room again"]
    assert post.store.redis.xlen(post.store.keys.mail_shared) == 200


def test_too_long_and_empty_are_refused(post: Post) -> None:
    post.send("ann", "ben", "ä" * 8192)
    for text, code in (("ä" * 8192 + "x", "too-long"), (" \n", "usage")):
        with pytest.raises(UserError) as e:
            post.send("ann", "ben", text)
        assert e.value.code == code
    assert post.inbox("ben").unread == 1
    for to in ("", "@", "a\nb", "x" * 201, "a\u200fb"):
        with pytest.raises(UserError):
            post.send("ann", to)


def test_hostile_text_arrives_as_it_was_and_is_shown_inert(post: Post) -> None:
    nasty = '\x1b[2J\x00"]}\n  ben  urgent\r\u202egnp.exe\ud800 ' + "x" * 10_000
    post.send("ann", "ben", nasty)
    (got,) = post.inbox("ben").messages
    assert got.text == nasty.replace("\ud800", "?")
    shown = say.body(got)
    assert all(line.startswith("  | ") for line in shown.split("\n"))
    assert not set(shown) & {"\x1b", "\x00", "\r", "\u202e"}


def test_what_was_acknowledged_is_forgotten_in_the_end(post: Post) -> None:
    post.join("ben")
    for n in range(2001):
        post.send("ann", "ben", str(n))
        if n % 250 == 249 or n == 2000:
            while post.inbox("ben").unread:
                post.ack("ben")
    client = post.store.redis
    records = f"{post.store.keys.prefix}mail:records"
    assert client.hlen(records) == 2000
    assert client.xlen(f"{post.store.keys.prefix}mail:sent:ann") == 2000
    assert client.xlen(f"{post.store.keys.prefix}mail:read:ben") == 100


def test_the_reply_is_lost_and_the_message_is_there_once(post: Post) -> None:
    with Relay(post.server.socket) as relay:
        store = relay.store(PROJECT)
        sender = post.me("ann")
        mail.send(store, CONFIG, sender, "ben", "before")  # the script is known now
        relay.cut_next_reply()
        sent = mail.send(store, CONFIG, sender, "ben", "once")
        assert relay.cuts == 1
        assert sent.already, "the second try found the first"
        store.close()
    assert post.texts("ben") == ["before", "once"]


def test_a_store_that_stays_away_says_how_to_ask_again(post: Post) -> None:
    with Relay(post.server.socket) as relay:
        store = relay.store(PROJECT)
        mail.send(store, CONFIG, post.me("ann"), "ben", "before")
        relay.cut_next_reply(100)
        with pytest.raises(StoreDown) as e:
            mail.send(store, CONFIG, post.me("ann"), "ben", "once", id="m-7")
        assert "--id m-7" in (e.value.hint or "")
        relay.cut_next_reply(0)
        assert mail.send(store, CONFIG, post.me("ann"), "ben", "once", id="m-7").already
        store.close()
    assert post.texts("ben") == ["before", "once"]


def test_listening_ends_when_something_comes_and_not_before(post: Post) -> None:
    begun = time.monotonic()
    assert mail.listen(post.store, post.me("ben"), timeout_s=0.4) is None
    assert 0.3 < time.monotonic() - begun < events.BLOCK_S
    got: list[mail.Inbox | None] = []
    listener = threading.Thread(target=lambda: got.append(mail.listen(Post(post.server).store, post.me("ben"))))
    listener.start()
    asleep(post.server)
    post.send("ann", "@other", "for another role")
    asleep(post.server)  # the server woke it with that, so it has looked, and waits again
    assert listener.is_alive()
    post.send("ann", "ben", "now")
    listener.join(events.BLOCK_S - 1)  # a wait that nothing ended would be longer
    assert not listener.is_alive()
    assert got[0] is not None
    assert [m.text for m in got[0].messages] == ["now"]


def test_one_script_call_each(post: Post) -> None:
    post.send("ann", "ben", "x")
    post.ack("ben")
    post.inbox("ben")
    post.store.redis.config_resetstat()
    post.send("ann", "ben", "y")
    post.inbox("ben")
    post.ack("ben", "none")
    calls = {k: v["calls"] for k, v in post.store.redis.info("commandstats").items()}
    assert (calls["cmdstat_evalsha"], "cmdstat_eval" in calls) == (3, False)


def test_agents_that_are_long_gone_leave_the_registry(post: Post) -> None:
    post.join("ann", "ben", "old")
    post.send("ann", "old", "still here")
    post.age("old", at=31 * DAY_MS)
    post.age("ben", at=400_000)
    entries = {a.name: a for a in registry.agents(post.store, CONFIG, [])}
    assert set(entries) == {"ann", "ben"}
    assert (entries["ann"].silent, entries["ben"].silent, entries["ben"].suspect) == (False, True, False)
    post.join("ann")
    assert sorted(map(str, post.store.redis.hkeys(post.store.keys.agents))) == ["ann", "ben"]
    assert post.texts("old") == ["still here"]


def test_roles_of_prp_toml_are_globs_of_names(post: Post) -> None:
    config = CONFIG._replace(roles={"pm": ("pm-*", "ann"), "reviewer": ("a.n",)}, domains={"ann": ("P0-*",)})
    post.join("ann", "pm-1", "pmx1", "axn")
    entries = {a.name: (a.roles, a.domain) for a in registry.agents(post.store, config, [])}
    nothing: tuple[str, ...] = ()
    assert entries == {
        "ann": (("pm",), ("P0-*",)),
        "pm-1": (("pm",), nothing),
        "pmx1": (nothing, nothing),
        "axn": (nothing, nothing),
    }
    sent = mail.send(post.store, config, post.me("axn"), "@pm", "look")
    assert sent.due == 2


def test_json_of_the_registry_survives_a_path_that_is_no_utf8(post: Post) -> None:
    me = post.me("ann")._replace(worktree="/src/\udcff")
    registry.beat(post.store, me)
    raw = post.store.redis.hget(post.store.keys.agents, "ann")
    assert isinstance(raw, str)
    assert json.loads(raw)["worktree"] == "/src/?"
