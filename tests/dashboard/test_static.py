"""What the page's own files may not do: read text as HTML, run text, ask anybody else."""

from __future__ import annotations

import re
from importlib import resources

STATIC = resources.files("prpgate.dashboard") / "static"
AS_CODE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|DOMParser|document\.write|\beval\(|new Function|"
    r"srcdoc|setHTMLUnsafe|parseHTMLUnsafe|import\("
)
ADDRESS = re.compile(r"""(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}""")
NAMESPACE = "http://www.w3.org/2000/svg"  # a name; nothing is asked there


def text_of(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


def test_text_is_never_read_as_html_nor_run() -> None:
    assert AS_CODE.findall(text_of("app.js")) == []


def test_nothing_is_inline_that_the_policy_refuses() -> None:
    page = text_of("index.html")
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", page) == []
    assert re.findall(r"<script[^>]*>", page) == ['<script type="module" src="/static/app.js">']
    assert 'setAttribute("style"' not in text_of("app.js")


def test_no_file_names_another_address() -> None:
    for name in ("index.html", "style.css", "app.js", "favicon.svg"):
        assert ADDRESS.findall(text_of(name).replace(NAMESPACE, "")) == [], name
        assert "@import" not in text_of(name) and "url(" not in text_of(name), name
