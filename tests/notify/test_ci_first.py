"""Gate ci-first tells people too: of a candidate that is red, though nothing has landed, and of the next one's turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.ci.test_first import First, until
from tests.notify import ALL, Receiver

if TYPE_CHECKING:
    from tests.world import Server, World


def test_a_red_candidate_and_the_next_ones_turn_are_told_by_the_runs_of_ci(world: World, server: Server) -> None:
    with Receiver() as receiver:
        more = f'notify.webhook = "{receiver.url}"\nnotify.events = {ALL}\n'
        first = First(world, server, more=more)
        ben, secret = first.clone("ben"), {"PRP_NOTIFY_SECRET": receiver.pair}
        first.ana.prp("notify", "run", "--for", "0", env=secret)  # what was before is told to nobody
        elsewhere = first.toml.replace(receiver.url, "http://127.0.0.1:1/hook")
        bad = first.ana.commit_files("P1-001: break it", {"bad": "b\n", "prp.toml": elsewhere})
        mine = first.begin(first.ana)
        candidate = first.candidate()
        ben.commit_files("P1-001: good work", {"c": "c\n"})
        his = first.begin(ben)
        until(lambda: len(first.lock.state().queue) == 1, "ben stands in line")
        assert first.on_candidate(*candidate, **secret).code == 1
        red = receiver.got[0].said  # whose turn it is may have been seen by the same run
        assert (red["event"], red["lane"], red["sha"], red["agent"]) == ("red", "main", bad, "ana")
        assert red["text"] == f"main: {bad[:10]} of ana is red."
        assert first.ended(mine)[1]["state"] == "red"
        second = first.candidate(but=(candidate[0],))
        assert first.on_candidate(*second, **secret).code == 0
        assert first.ended(his)[0] == 0
        _, turn = (g.said for g in receiver.got)
        assert (turn["event"], turn["lane"], turn["agent"]) == ("your-turn", "main", "ben")
        assert turn["next_action"] == "prp land"
        first.free()
