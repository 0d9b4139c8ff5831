"""The compose file is what the documentation says it is: a durable Redis that only this machine can reach."""

from __future__ import annotations

from pathlib import Path

import yaml

FILE = Path(__file__).parent.parent / "docker-compose.yml"


def test_compose() -> None:
    compose = yaml.safe_load(FILE.read_text("utf-8"))
    assert list(compose["services"]) == ["redis"]
    redis = compose["services"]["redis"]
    assert redis["image"] == "redis:7-alpine"
    assert redis["command"].split()[:3] == ["redis-server", "--appendonly", "yes"]
    assert redis["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    assert redis["ports"] == ["127.0.0.1:6379:6379"]
    (volume,) = redis["volumes"]
    name, _, target = volume.partition(":")
    assert target == "/data"
    assert name in compose["volumes"]
    assert "version" not in compose  # obsolete in the compose specification
