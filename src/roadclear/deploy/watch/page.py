"""The page of a watch: a timeline, a thumbnail of each event, and counts an hour. One file, without script."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from pathlib import Path

from markupsafe import Markup

from roadclear.deploy.watch.decide import longest_gap
from roadclear.deploy.watch.timeline import Summary
from roadclear.images.thumbnails import data_uri
from roadclear.model.metadata import ModelFacts
from roadclear.utils.html import html_environment

_WIDTH, _HEIGHT, _LANE, _TOP = 1000.0, 180.0, 14.0, 22.0
"""Drawn units: width and height of the timeline, height of the lane of events, and where the probability 1 lies."""

_SEAM = 0.01
_RATE_S = 600.0
"""Shortest watch whose events an hour are told."""

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
        name=source if "://" in source else Path(source).name or source,
        facts=facts,
        summary=summary,
        sentences=list(_sentences(summary, broken)),
        when=_when(summary),
        timeline=_timeline(summary, longest_gap(summary.every)),
        sizes={"width": f"{_WIDTH:g}", "height": f"{_HEIGHT:g}"},
        ticks=_ticks(summary),
        hours=[(summary.hour_name(number), hour) for number, hour in hours] if summary.end > _LONG_S else [],
        profile=summary.profile() if summary.began is not None and summary.end > _DAY_S else {},
        shown=[(one.event, data_uri(one.thumbnail) if one.thumbnail else None) for one in summary.shown],
    )
    return page.encode()


def clock(seconds: float) -> str:
    """Write seconds as minutes and seconds, with hours where there are some."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def span(seconds: float) -> str:
    """Write a duration in words, as in "15.6 s", "12 min 5 s" or "3 h 12 min"."""
    minutes, rest = divmod(round(seconds), 60)
    if seconds < 60:
        return f"{seconds:.1f} s"
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def _sentences(summary: Summary, broken: int) -> Iterator[str]:
    """Say what was watched and found."""
    yield f"Watched: {span(summary.end)} in {summary.frames:,} frames."
    if summary.events:
        share = f"{100 * summary.event_seconds / summary.end:.0f}%"
        rate = f", {summary.events / summary.end * 3600:.1f} events an hour" if summary.end >= _RATE_S else ""
        yield f"In events: {span(summary.event_seconds)} ({share}){rate}."
    if summary.unsure:
        yield f"The model was unsure of {summary.unsure:,} frames, or had not seen their like."
    if broken:
        yield f"{broken:,} broken frame{' was' if broken == 1 else 's were'} passed over."


def _when(summary: Summary) -> Callable[[float], str]:
    """Choose how a time is written: by the clock where the clock is known, or else as seconds from the start."""
    began = summary.began
    if began is None:
        return clock
    form = "%Y-%m-%d %H:%M:%S" if summary.end > _DAY_S else "%H:%M:%S"
    return lambda seconds: (began + timedelta(seconds=seconds)).strftime(form)


@dataclass(frozen=True)
class _Stretch:
    """Part of the timeline: from and to in drawn units, highest and mean probability, and whether it is in an event."""

    left: float
    right: float
    highest: float
    mean: float
    on: bool


def _stretches(summary: Summary, longest: float) -> Iterator[_Stretch]:
    """Turn bins into stretches. A bin goes on to the next one, unless longer than `longest` seconds lie between."""
    timeline = summary.timeline
    bins = sorted(timeline.bins.items())
    across = _WIDTH * timeline.width / max(summary.end, timeline.width)
    most = max(1, ceil(longest / timeline.width))
    nexts = [number for number, _ in bins[1:]] + [ceil(_WIDTH / across)]
    for (k, one), following in zip(bins, nexts, strict=bool(bins)):
        last = following if following - k <= most else k + 1
        yield _Stretch(k * across, min(last * across, _WIDTH), one.highest, one.total / one.frames, bool(one.on))


def _timeline(summary: Summary, longest: float) -> Markup:
    """Draw a lane of events, and below it the highest and the mean probability as two areas."""
    stretches = list(_stretches(summary, longest))
    events = "".join(f"M{one.left:.2f},0H{one.right:.2f}V{_LANE:g}H{one.left:.2f}Z" for one in stretches if one.on)
    return Markup(  # noqa: S704, numbers alone
        f'<path class="on" d="{events}"/>'
        f'<path class="high" d="{_area((one.left, one.right, one.highest) for one in stretches)}"/>'
        f'<path class="mean" d="{_area((one.left, one.right, one.mean) for one in stretches)}"/>'
    )


def _area(steps: Iterable[tuple[float, float, float]]) -> str:
    """Draw steps (left, right, probability) as a path with one area for each run of steps without a gap."""
    path, end = "", None
    for left, right, value in steps:
        if end is None or left - end > _SEAM:
            path += ("" if end is None else f"V{_HEIGHT:g}Z") + f"M{left:.2f},{_HEIGHT:g}"
        path += f"V{_HEIGHT - (_HEIGHT - _TOP) * value:.1f}H{right:.2f}"
        end = right
    return path + (f"V{_HEIGHT:g}Z" if path else "")


def _ticks(summary: Summary) -> list[tuple[float, str]]:
    """Choose times for the axis: per cent from the left, and text. The last twentieth has no room for a text."""
    end, began = summary.end, summary.began
    steps = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400)
    step = next((step for step in steps if end / step <= 10), 86_400 * max(1, round(end / 864_000)))
    times = [k * step for k in range(int(0.95 * end / step) + 1)]
    if began is not None:
        form = "%m-%d" if step >= _DAY_S else "%H:%M" if step >= 60 else "%H:%M:%S"
        return [(100 * time / (end or 1), (began + timedelta(seconds=time)).strftime(form)) for time in times]
    return [(100 * time / (end or 1), f"{time // 3600} h" if step >= 3600 else clock(time)[:-2]) for time in times]
