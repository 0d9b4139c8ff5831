"""Options out of a parsed prp.toml, one by one: type checked, and where each came from."""

from __future__ import annotations

from typing import Any

from .errors import UsageError

FILE = "prp.toml"
LONGEST_GLOB, MOST_GLOBS = 200, 100  # of agents, ids and paths: the store compares them, and serves nobody meanwhile


class Reader:
    """Every method that takes an option raises UsageError, with file and option, for what it cannot be."""

    def __init__(self, data: dict[str, Any], source: str) -> None:
        self.data, self.source = data, source
        self.where: dict[str, str] = {}
        self.taken: set[str] = set()

    def wrong(self, option: str, value: object, want: str) -> UsageError:
        return UsageError(
            f"{self.source}: {option} = {value!r} is not {want}.",
            code="config",
            hint="Nothing was changed.",
            next_action=f"git diff HEAD -- :/{FILE}",
        )

    def take(self, option: str, default: Any, kind: type, want: str) -> Any:
        node: Any = self.data
        for part in option.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        self.taken.add(option)
        self.where[option] = "default" if node is None else self.source
        if node is None:
            return default
        if not isinstance(node, kind) or (kind is int and isinstance(node, bool)):
            raise self.wrong(option, node, want)
        return node

    def text(self, option: str, default: str, allowed: tuple[str, ...] = ()) -> str:
        value: str = self.take(option, default, str, "a text")
        if allowed and value not in allowed:
            raise self.wrong(option, value, "one of " + ", ".join(allowed))
        return value

    def seconds(self, option: str, default: int, least: int = 1) -> int:
        return self.number(option, default, least, "a whole number of seconds")

    def number(self, option: str, default: int, least: int, what: str = "a whole number") -> int:
        value: int = self.take(option, default, int, what)
        if value < least:
            raise self.wrong(option, value, f"{what} from {least} up")
        return value

    def texts(self, option: str, default: tuple[str, ...], least: int = 1) -> tuple[str, ...]:
        value = self.take(option, list(default), list, "a list of texts")
        if len(value) < least or not all(isinstance(v, str) and v for v in value):
            raise self.wrong(option, value, "a list of texts" + (" with at least one in it" if least else ""))
        return tuple(value)

    def limit(self, option: str) -> int | None:
        value: int | None = self.take(option, None, int, "a whole number")
        if value is not None and value < 1:
            raise self.wrong(option, value, "a whole number from 1 up")
        return value

    def limits(self, option: str, allowed: tuple[str, ...] = ()) -> dict[str, int]:
        found: dict[str, int] = self.take(option, {}, dict, "a table of whole numbers")
        for name, value in found.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise self.wrong(f"{option}.{name}", value, "a whole number from 1 up")
            if allowed and name not in allowed:
                raise self.wrong(option, name, "one of " + ", ".join(allowed))
            if len(name) > LONGEST_GLOB or len(found) > MOST_GLOBS:
                most = f"a table of at most {MOST_GLOBS} names of at most {LONGEST_GLOB} letters"
                raise self.wrong(option, f"{name[:40]} ...", most)
        return found

    def lists(self, option: str) -> dict[str, tuple[str, ...]]:
        """A table whose values are a text, or a list of texts."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self.take(option, {}, dict, "a table").items():
            items = [value] if isinstance(value, str) else value
            if not isinstance(items, list) or not items or not all(isinstance(v, str) and v for v in items):
                raise self.wrong(f"{option}.{name}", value, "a text or a list of texts")
            if len(items) > MOST_GLOBS or any(len(i) > LONGEST_GLOB for i in items):
                most = f"at most {MOST_GLOBS} texts of at most {LONGEST_GLOB} letters"
                raise self.wrong(f"{option}.{name}", f"{str(value)[:40]} ...", most)
            found[name] = tuple(items)
            self.taken.add(f"{option}.{name}")
        return found

    def leftovers(self) -> tuple[str, ...]:
        found = []
        for key, value in self.data.items():
            if isinstance(value, dict):
                found += [f"{key}.{k}" for k in value if f"{key}.{k}" not in self.taken]
            elif key not in self.taken:
                found.append(key)
        return tuple(found)
