import html
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.core.markdown import bounds, code, escape, number, percent, signed, to_markdown

RENDER = MarkdownIt("commonmark", {"html": False}).enable("table").render
texts = st.text("ab19 -+=.)(*_`#&;<>|[]!~\\:/'\"{}$\n\té", min_size=1, max_size=20).filter(str.strip)


def words(page):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page)).split())


@pytest.mark.parametrize("place", ["# {}\n", "- {}\n", "- a: {}\n", "Before.\n\n{}\n", "*{}*, said.\n", "| a |\n| - |\n| {} |\n"])
@given(text=texts)
def test_a_text_of_others_is_shown_as_it_is_wherever_it_stands(place, text):
    page = RENDER(place.format(escape(text)))
    expected = words(RENDER(place.format("MARK"))).replace("MARK", " ".join(text.split()))
    assert words(page) == expected
    assert re.findall(r"</?(\w+)", page) == re.findall(r"</?(\w+)", RENDER(place.format("MARK")))


@given(text=texts)
def test_a_name_is_one_code_span(text):
    page = RENDER(f"of {code(text)} alone")
    assert page.count("<code>") == 1 and page.startswith("<p>of <code>") and page.endswith("</code> alone</p>\n")


def test_numbers():
    assert (number(0.12345), number(-0.5, 1), number(float("nan")), number(None)) == ("0.123", "−0.5", "–", "–")
    assert (signed(0.5, 2), signed(-0.5, 2), percent(0.861), percent(-0.1)) == ("+0.50", "−0.50", "86 %", "−10 %")
    assert (
        bounds(0.1, 0.2) == "0.100–0.200"
        and bounds(-0.1, 0.2, 1) == "−0.1 to 0.2"
        and bounds(0.1, 0.2, 1, sign=True) == "+0.1 to +0.2"
    )


def test_a_table_is_aligned_words_to_the_left_and_numbers_to_the_right():
    frame = pd.DataFrame({"": ["one", "a longer one"], "value": ["1.0", "−10.0"]})
    assert to_markdown(frame).splitlines() == [
        "|              | value |",
        "| :----------- | ----: |",
        "| one          |   1.0 |",
        "| a longer one | −10.0 |",
    ]
