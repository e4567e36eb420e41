"""The page of a watch: a timeline, a thumbnail of each event, and counts an hour. One file, without script."""

from markupsafe import Markup

from roadclear.deploy.watch.timeline import Summary
from roadclear.images.thumbnails import data_uri
from roadclear.model.metadata import ModelFacts
from roadclear.utils.html import html_environment

_WIDTH, _HEIGHT = 1000.0, 160.0
_LONG_S = 2 * 3600.0
_DAY_S = 24 * 3600.0
_MOST_HOURS = 24 * 14


def write_page(summary: Summary, facts: ModelFacts, source: str, broken: int) -> bytes:
    """Render the page.

    Args:
        summary: what was seen.
        facts: facts about the model.
        source: name of the source, without passwords.
        broken: number of frames and packets that could not be used.

    Returns:
        HTML in UTF-8.
    """
    template = html_environment("roadclear.deploy.watch").get_template("watch.html.j2")
    hours = sorted(summary.hours.items())[-_MOST_HOURS:]
    page = template.render(
        source=source,
        facts=facts,
        summary=summary,
        broken=broken,
        clock=clock,
        timeline=_timeline(summary),
        ticks=_ticks(summary.end),
        hours=[(summary.hour_name(number), hour) for number, hour in hours] if summary.end > _LONG_S else [],
        profile=summary.profile() if summary.began is not None and summary.end > _DAY_S else {},
        rate=summary.events / summary.end * 3600 if summary.end else 0.0,
        shown=[(one.event, data_uri(one.thumbnail) if one.thumbnail else None) for one in summary.shown],
    )
    return page.encode()


def clock(seconds: float) -> str:
    """Write seconds as minutes and seconds, with hours where there are some."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _timeline(summary: Summary) -> Markup:
    """Draw events as bars, and the highest and mean probability of each bin as a band."""
    timeline, end = summary.timeline, max(summary.end, summary.timeline.width)
    parts = []
    across = _WIDTH * timeline.width / end
    for k, one in sorted(timeline.bins.items()):
        left, mean = k * across, one.total / one.frames
        if one.on:
            parts.append(f'<rect class="on" x="{left:.2f}" y="0" width="{across:.2f}" height="{_HEIGHT:g}"/>')
        top, low = _HEIGHT * (1 - one.highest), _HEIGHT * (1 - mean)
        parts.append(
            f'<rect class="high" x="{left:.2f}" y="{top:.1f}" width="{across:.2f}" height="{low - top + 1:.1f}"/>'
        )
        parts.append(
            f'<rect class="mean" x="{left:.2f}" y="{low:.1f}" width="{across:.2f}" height="{_HEIGHT - low:.1f}"/>'
        )
    return Markup("".join(parts))  # noqa: S704, numbers alone


def _ticks(end: float) -> list[tuple[float, str]]:
    """Choose times for the axis: per cent from the left, and text."""
    steps = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400)
    step = next((step for step in steps if end / step <= 10), 86_400 * max(1, round(end / 864_000)))
    return (
        [(100 * k * step / end, clock(k * step).removesuffix(".0")) for k in range(int(end / step) + 1)] if end else []
    )
