"""Draws charts as SVG: bars, lines and strips that need no script and follow the page's width.

Places along the page are given in percent and heights in pixels, so that text keeps its size.
Colours come from the stylesheet by class; a pattern tells apart what a colour does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_HEIGHT, _FOOT, _HEAD = 150, 26, 8


@dataclass(frozen=True, kw_only=True)
class Series:
    """One kind of thing in a chart."""

    #: Names its colour and pattern in the stylesheet.
    kind: str
    label: str
    values: Sequence[float | None]


def bars(series: Sequence[Series], labels: Sequence[str], title: str) -> Markup:
    """Stacked bars, one for each label, with a scale on the left.

    :param labels: below the bars; an empty one is left out.
    """
    totals = [sum(value or 0 for value in column) for column in _columns(series)]
    top = _round_up(max(totals, default=0))
    width = 100 / max(len(labels), 1)
    shapes = [shape for n in range(len(labels)) for shape in _bar(series, n, width, top)]
    return _figure(Markup("").join(shapes), labels, f"{top:,.0f}", title)


def lines(series: Sequence[Series], labels: Sequence[str], title: str, unit: str) -> Markup:
    """Lines over the same columns as :func:`bars`; a column without a value leaves a gap."""
    top = _round_up(max((v or 0 for one in series for v in one.values), default=0))
    shapes = [shape for one in series for shape in _line(one, len(labels), top)]
    return _figure(Markup("").join(shapes), labels, f"{top:,.0f} {unit}", title)


def strip(kinds: Sequence[str], title: str) -> Markup:
    """Small cells in a row, the newest at the right, each tall or short by its kind."""
    cells = [
        Markup('<rect class="{}" x="{}" y="{}" width="6" height="{}" rx="1"/>').format(
            f"is-{kind}", n * 8, 0 if kind != "pending" else 11, 18 if kind != "pending" else 7
        )
        + _cross(kind, n * 8)
        for n, kind in enumerate(kinds)
    ]
    return Markup(
        '<svg class="strip" role="img" width="{}" height="18" aria-label="{}">{}</svg>'
    ).format(max(len(kinds) * 8 - 2, 0), title, Markup("").join(cells))


def swatch(kind: str) -> Markup:
    """The sample of a kind in a legend."""
    return Markup('<svg class="swatch" width="14" height="14" aria-hidden="true">{}</svg>').format(
        _rect(kind, "0", 0, "14", 14)
    )


def line_swatch(kind: str) -> Markup:
    """The sample of a line in a legend."""
    return Markup(
        '<svg class="swatch" width="22" height="14" aria-hidden="true">'
        '<line class="line {}" x1="0" x2="22" y1="7" y2="7"/></svg>'
    ).format(f"is-{kind}")


def _cross(kind: str, x: int) -> Markup:
    """A notch in what failed, for who sees no colours."""
    if kind != "exhausted":
        return Markup("")
    return Markup('<rect class="notch" x="{}" y="7" width="6" height="4"/>').format(x)


#: What :func:`bars` and :func:`swatch` fill with; wanted once on their page.
PATTERNS = Markup(
    '<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>'
    '<pattern id="hatched" width="5" height="5" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect class="under is-answered" width="5" height="5"/>'
    '<rect class="is-answered" width="2.2" height="5"/></pattern>'
    '<pattern id="dotted" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect class="is-unanswered" width="5" height="5"/>'
    '<circle class="hole" cx="2.5" cy="2.5" r="1"/></pattern>'
    "</defs></svg>"
)
_FILLS = {"answered": "url(#hatched)", "unanswered": "url(#dotted)"}


def _rect(kind: str, x: str, y: float, width: str, height: float) -> Markup:
    fill = _FILLS.get(kind)
    look = Markup('fill="{}"').format(fill) if fill else Markup('class="{}"').format(f"is-{kind}")
    return Markup('<rect {} x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
        look, x, y, width, height
    )


def _bar(series: Sequence[Series], n: int, width: float, top: float) -> Iterator[Markup]:
    foot = float(_HEAD + _HEIGHT)
    for one in series:
        value = one.values[n] or 0
        if value:
            # What is there is seen, however little it is beside the rest.
            height = max(value / top * _HEIGHT, 1.5)
            foot -= height
            x, wide = f"{(n + 0.12) * width:.3f}%", f"{width * 0.76:.3f}%"
            yield _rect(one.kind, x, foot, wide, height)


def _line(one: Series, count: int, top: float) -> Iterator[Markup]:
    def place(n: int, value: float) -> tuple[float, float]:
        return 100 / count * (n + 0.5), _HEAD + _HEIGHT * (1 - value / top)

    before = None
    for n, value in enumerate(one.values):
        if value is not None and before is not None:
            yield Markup(
                '<line class="line is-{}" x1="{:.3f}%" y1="{:.1f}" x2="{:.3f}%" y2="{:.1f}"/>'
            ).format(one.kind, *place(n - 1, before), *place(n, value))
        if value is not None:
            yield Markup('<circle class="dot is-{}" cx="{:.3f}%" cy="{:.1f}" r="2"/>').format(
                one.kind, *place(n, value)
            )
        before = value


def _figure(shapes: Markup, labels: Sequence[str], most: str, title: str) -> Markup:
    """The scale, and beside it the drawing."""
    middle = _HEAD + _HEIGHT / 2
    grid = Markup("").join(
        Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(y)
        for y in (_HEAD, middle, _HEAD + _HEIGHT)
    )
    return Markup(
        '<div class="drawn"><svg class="scale" width="58" height="{height}" aria-hidden="true">'
        '<text x="50" y="{high}" text-anchor="end">{most}</text>'
        '<text x="50" y="{low}" text-anchor="end">0</text></svg>'
        '<svg class="plot" role="img" width="100%" height="{height}" aria-label="{title}">'
        "{grid}{shapes}{labels}</svg></div>"
    ).format(
        height=_HEAD + _HEIGHT + _FOOT, high=_HEAD + 5, low=_HEAD + _HEIGHT + 4, most=most,
        title=title, grid=grid, shapes=shapes, labels=_labels(labels),
    )  # fmt: skip


def _labels(labels: Sequence[str]) -> Markup:
    width = 100 / max(len(labels), 1)
    return Markup("").join(
        Markup('<text x="{:.3f}%" y="{}" text-anchor="middle">{}</text>').format(
            (n + 0.5) * width, _HEAD + _HEIGHT + 18, escape(label)
        )
        for n, label in enumerate(labels)
        if label
    )


def _columns(series: Sequence[Series]) -> Iterator[tuple[float | None, ...]]:
    return zip(*(one.values for one in series), strict=True)


def _round_up(value: float) -> float:
    """The top of a scale: 1, 2, 5 or 10 times a power of ten, and no less than the value."""
    if value <= 0:
        return 1
    size = 10.0 ** len(str(int(value))) / 10 if value >= 1 else 1
    return next(size * step for step in (1, 2, 5, 10) if size * step >= value)
