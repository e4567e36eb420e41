import pytest

from roadclear.collect.providers.html_text import first_link, visible_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("Ann", "Ann"),
        ("  Ann\n &amp;  Bob ", "Ann & Bob"),
        ("Zo&euml; M&#252;ller &#x1F6B6; &nbsp;x", "Zoë Müller 🚶 x"),
        ('<a href="//commons.wikimedia.org/wiki/User:Ann" title="User:Ann">Ann</a>', "Ann"),
        ("<bdi><b>An</b>n</bdi> <i>Lee</i>", "Ann Lee"),
        ("Ann<br>Bob<br/>Cid", "Ann Bob Cid"),
        ('Ann<span style="display: none;">Q<b>1</b>23</span> Lee', "Ann Lee"),
        ('<span style="DISPLAY:NONE">x<img src="a.png">y</span>Ann', "Ann"),
        ('<span style="display:none">x<br/>y</span>Ann', "Ann"),
        ("<style>.x { color: red }</style>Ann<script>alert(1)</script>", "Ann"),
        ("a < b & c > d", "a < b & c > d"),
        ("<b>never closed", "never closed"),
        ("closed</b></div> too often", "closed too often"),
        ("<!-- note -->Ann", "Ann"),
        ("&lt;b&gt;Ann&lt;/b&gt;", "<b>Ann</b>"),
        ("&unknown; &amp", "&unknown; &"),
        ("Ann<![x[ and more", "Ann"),
        (f"Ann<b>&#{'9' * 5_000};</b>", "Ann"),
    ],
)
def test_only_what_a_reader_sees_is_left(markup: str, text: str) -> None:
    assert visible_text(markup) == text


@pytest.mark.parametrize(
    ("markup", "address"),
    [
        ("Ann", ""),
        ("<a>Ann</a>", ""),
        ('<a href="http://[">Ann</a>', ""),
        (f'<a href="&#{"9" * 5_000};">Ann</a>', ""),
        ('<a href="//c.example/wiki/User:Ann">Ann</a>', "https://c.example/wiki/User:Ann"),
        ('<a href="/wiki/User:Ann">Ann</a>', "https://commons.example/wiki/User:Ann"),
        ('<a href="http://a.example/?a=1&amp;b=2">A</a><a href="https://b.example">B</a>', "http://a.example/?a=1&b=2"),
        (
            '<span style="display:none"><a href="https://q.example">Q1</a></span><a href="https://a.example">A</a>',
            "https://a.example",
        ),
    ],
)
def test_the_first_link_is_absolute(markup: str, address: str) -> None:
    assert first_link(markup, "https://commons.example") == address
