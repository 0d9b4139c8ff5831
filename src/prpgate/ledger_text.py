"""Strict YAML, read into values that remember where they stand. One pass over the parser's events, nothing constructed.

Taken: one document of UTF-8 text, mappings with plain keys, sequences, scalars. Everything else that YAML can do
(anchors, aliases, tags, merge keys, directives, several documents) is refused: it is how a file that looks harmless
becomes a bomb, an object or two different things to two readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import ledger_plain
from .ledger_plain import Field as Field
from .ledger_plain import Node as Node
from .messages import ledger as say
from .model import ERROR, Finding

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 20
MAX_NODES = 120_000  # some 5,000 PRPs; a file that goes on beyond this would hold up every commit
MAX_TWICE = 20
BOM = b"\xef\xbb\xbf"

# YAML counts more line breaks than editors and git do; a file with one of those has no line numbers to agree on.
_UNSEEN = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\r(?!\n)"
_SEEN = bytes((9, 10, 13, *range(32, 127)))
_CONFLICT = ("<<<<<<<", "|||||||", ">>>>>>>")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WORD_STARTS = frozenset(word[:1] for word in _WORDS)
_INT_STARTS = frozenset("-0123456789")


class Twice(NamedTuple):
    """A key that its mapping had already. The first one stands."""

    name: str
    first_line: int
    again: Field
    depth: int  # of the mapping, 1 for the file's own keys


class Text(NamedTuple):
    """A file as text and, when it could be read, as values."""

    text: str
    bom: bool
    root: Node | None  # None: empty, or not readable
    findings: tuple[Finding, ...]  # why reading ended; at most one
    twice: tuple[Twice, ...] = ()  # at most MAX_TWICE


class Unreadable(Exception):
    """Reading cannot go on behind this finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def plain(text: str) -> Any:
    """What an unquoted scalar means: null, true, false or a whole number; everything else stays the text it is."""
    first = text[:1]
    if first in _INT_STARTS:
        digits = text[1:] if first == "-" else text
        is_int = digits.isdigit() and digits.isascii() and len(digits) < 19 and (digits[0] != "0" or text == "0")
        return int(text) if is_int else text
    if first in _WORD_STARTS:
        return _WORDS.get(text, text)
    return text


class _Reader:
    def __init__(self, text: str, file: str, get_event: Callable[[], Any]) -> None:
        import yaml.events as ev

        self.text, self.file = text, file
        self.get = get_event
        self.twice: list[Twice] = []
        self.count = 0
        self.Alias, self.Scalar = ev.AliasEvent, ev.ScalarEvent
        self.MapStart, self.MapEnd = ev.MappingStartEvent, ev.MappingEndEvent
        self.SeqStart, self.SeqEnd = ev.SequenceStartEvent, ev.SequenceEndEvent
        self.DocStart, self.StreamEnd = ev.DocumentStartEvent, ev.StreamEndEvent

    def stop(self, code: str, said: say.Said, mark: Any) -> Unreadable:
        return Unreadable(Finding(code, ERROR, self.file, mark.line + 1, mark.column + 1, None, said.message, said.fix))

    def document(self) -> Node | None:
        self.get()  # the stream's start
        event = self.get()
        if event.__class__ is self.StreamEnd:
            return None
        if event.version or event.tags:
            raise self.stop("PRP107", say.not_taken("a % directive"), event.start_mark)
        root = self.node(self.get(), 1)
        self.get()  # the document's end
        event = self.get()
        if event.__class__ is self.DocStart:
            raise self.stop("PRP107", say.not_taken("a second document (---)"), event.start_mark)
        return root

    def node(self, event: Any, depth: int) -> Node:
        kind, at = event.__class__, event.start_mark
        if kind is self.Alias:
            raise self.stop("PRP107", say.not_taken(f"an alias (*{event.anchor})"), at)
        if event.anchor is not None:
            raise self.stop("PRP107", say.not_taken(f"an anchor (&{event.anchor})"), at)
        if event.tag is not None:
            raise self.stop("PRP107", say.not_taken(f"a tag ({event.tag})"), at)
        self.count += 1
        if self.count > MAX_NODES:
            raise self.stop("PRP108", say.too_many(MAX_NODES), at)
        if kind is self.Scalar:
            raw, style, end = event.value, event.style or "", event.end_mark
            if "\0" in raw:
                raise self.stop("PRP101", say.unseen_character("\0"), at)
            if not raw.isascii() and (half := _half_a_character(raw)):
                raise self.stop("PRP101", say.unseen_character(half), at)
            value = raw if style else plain(raw)
            last = self.block_end(at.index, end.index) if style in ("|", ">") else end.index
            return Node(value, at.index, last, at.line + 1, at.column + 1, style, raw, {})
        if depth > MAX_DEPTH:
            raise self.stop("PRP108", say.too_deep(MAX_DEPTH), at)
        return self.mapping(event, depth) if kind is self.MapStart else self.sequence(event, depth)

    def index(self, mark: Any) -> int:
        return int(mark.index)

    def block_end(self, start: int, end: int) -> int:
        """A block scalar's own end. Its end mark lies behind the empty lines that follow; with "+" they are its own."""
        header = self.text[start : self.text.find("\n", start)]
        if "+" in header.partition("#")[0]:
            return end - 1 if self.text[end - 1 : end] == "\n" else end
        return start + len(self.text[start:end].rstrip())

    def sequence(self, event: Any, depth: int) -> Node:
        at, end = event.start_mark, event.start_mark.index
        values: list[Any] = []
        item: Any = self.get()
        while item.__class__ is not self.SeqEnd:
            child = self.node(item, depth + 1)
            values.append(child.value)
            end, item = child.end, self.get()
        if event.flow_style:
            end = self.index(item.end_mark)
        style = "[" if event.flow_style else "seq"
        return Node(values, at.index, end, at.line + 1, at.column + 1, style, None, {})

    def mapping(self, event: Any, depth: int) -> Node:
        at, end = event.start_mark, event.start_mark.index
        fields: dict[str, Field] = {}
        key_event: Any = self.get()
        while key_event.__class__ is not self.MapEnd:
            key_at = key_event.start_mark
            if key_event.__class__ in (self.MapStart, self.SeqStart):
                raise self.stop("PRP107", say.not_taken("a key that is no plain text"), key_at)
            key = self.node(key_event, depth + 1)
            name = key.raw or ""
            if name == "<<" and not key.style:
                raise self.stop("PRP107", say.not_taken("a merge key (<<)"), key_at)
            colon = self.text.find(":", key.end)
            if colon < 0 or self.text[key.end : colon].strip(" \t"):
                raise self.stop("PRP107", say.not_taken('a key without ":" behind it'), key_at)
            node = self.node(self.get(), depth + 1)
            end = node.end
            field = Field(key.start, key.end, key.line, key.column, node)
            if name not in fields:
                fields[name] = field
            elif len(self.twice) < MAX_TWICE:
                self.twice.append(Twice(name, fields[name].line, field, depth))
            key_event = self.get()
        if event.flow_style:
            end = self.index(key_event.end_mark)
        value = {name: field.node.value for name, field in fields.items()}
        style = "{" if event.flow_style else "map"
        return Node(value, at.index, end, at.line + 1, at.column + 1, style, None, fields)


def _events(data: bytes) -> Callable[[], Any]:
    """The parser's `get_event`: libyaml's when PyYAML was built with it, ten times slower without."""
    import yaml

    if yaml.__with_libyaml__:
        from yaml import cyaml

        get: Callable[[], Any] = cyaml.CSafeLoader(data).get_event
        return get
    return yaml.SafeLoader(data).get_event


def place(text: str, offset: int) -> tuple[int, int]:
    """1-based line and column of an offset in characters."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _unseen(data: bytes, text: str) -> int | None:
    """Offset of the first character that has no place in a ledger. Compiling the regex costs more than most files."""
    if text.isascii() and not data.translate(None, _SEEN) and data.count(b"\r") == data.count(b"\r\n"):
        return None
    import re

    bad = re.search(_UNSEEN, text)
    return bad.start() if bad else None


def _half_a_character(text: str) -> str:
    """One that no file can hold: PyYAML's own parser takes an escape for it, libyaml does not. "": there is none."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as e:
        return text[e.start]
    return ""


def _not_text(data: bytes, file: str, error: UnicodeDecodeError) -> Finding:
    line, start = data.count(b"\n", 0, error.start) + 1, data.rfind(b"\n", 0, error.start) + 1
    column = len(data[start : error.start].decode("utf-8", "replace")) + 1
    said = say.not_utf8(data[error.start], data[:2] in (b"\xff\xfe", b"\xfe\xff"))
    return Finding("PRP101", ERROR, file, line, column, None, said.message, said.fix)


def read(data: bytes, file: str) -> Text:
    """Read one file. Never raises on its content; `findings` says what is wrong with it, `twice` too."""
    if len(data) > MAX_BYTES:
        said = say.too_big(MAX_BYTES)
        return Text("", False, None, (Finding("PRP108", ERROR, file, 1, 1, None, said.message, said.fix),))
    bom = data.startswith(BOM)
    body = data[3:] if bom else data
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as e:
        return Text("", bom, None, (_not_text(body, file, e),))

    def at(code: str, said: say.Said, offset: int) -> Text:
        line, column = place(text, offset)
        return Text(text, bom, None, (Finding(code, ERROR, file, line, column, None, said.message, said.fix),))

    if (bad := _unseen(body, text)) is not None:
        return at("PRP101", say.unseen_character(text[bad]), bad)
    for mark in _CONFLICT:
        found = 0 if text.startswith(mark) else text.find("\n" + mark)
        if found >= 0:
            return at("PRP102", _then_check(say.conflict_marker(mark)), found and found + 1)
    if (quick := ledger_plain.root(text, MAX_NODES, plain)) is not None:
        return Text(text, bom, quick, ())
    return by_events(text, body, file, bom)


def _then_check(said: say.Said) -> say.Said:
    """With the command that tells whether it is mended."""
    return said._replace(fix=f"{said.fix}\n  prp check")


def by_events(text: str, body: bytes, file: str, bom: bool = False) -> Text:
    """The strict reading of a text (`body` is the same in UTF-8) by the YAML parser's events."""
    import yaml

    reader = _Reader(text, file, _events(body))
    try:
        root = reader.document()
    except Unreadable as e:
        return Text(text, bom, None, (e.finding,))
    except yaml.MarkedYAMLError as e:
        mark_at = e.problem_mark or e.context_mark
        where = e.context_mark.line + 1 if e.context_mark else None
        said = _then_check(say.not_yaml(e.problem or "", e.context or "", where))
        line, column = (mark_at.line + 1, mark_at.column + 1) if mark_at else (1, 1)
        return Text(text, bom, None, (Finding("PRP102", ERROR, file, line, column, None, said.message, said.fix),))
    except (yaml.YAMLError, ValueError) as e:  # ValueError: PyYAML's own parser, of an escape for no character
        said = _then_check(say.not_yaml(str(e).partition("\n")[0], "", None))
        return Text(text, bom, None, (Finding("PRP102", ERROR, file, 1, 1, None, said.message, said.fix),))
    return Text(text, bom, root, (), tuple(reader.twice))
