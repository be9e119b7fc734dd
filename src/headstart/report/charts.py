"""Charts as inline SVG whose colours are the page's own variables, so that they follow light and dark."""

import io
import re
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from headstart.core.predictions import Floats, Ints
from headstart.core.record import Candidate, LearningCurve, Score, Span, StageScore

# stand-ins that matplotlib draws with; `_themed` replaces them by the variables of style.css
INK, MUTED, GRID, SURFACE = "#000001", "#000002", "#000003", "#000004"
SERIES = ("#000011", "#000012", "#000013", "#000014", "#000015", "#000016")
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", SURFACE: "surface"} | {
    colour: f"series-{i}" for i, colour in enumerate(SERIES, 1)
}
_STYLE: dict[str, Any] = {
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.5,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
}
MATRIX_CLASSES = 20
SIZE = 112  # pixels of an inch: letters of a chart are as large as those beside it, and no larger on a wide page


class Chart:
    """A figure under way and, once closed, its SVG."""

    svg = Markup("")

    def __init__(self, axes: Axes) -> None:
        self.axes = axes


@contextmanager
def _chart(name: str, width: float = 4.6, height: float = 3.0) -> Generator[Chart]:
    with warnings.catch_warnings(), mpl.rc_context(cast("Any", {**_STYLE, "svg.hashsalt": name})):
        warnings.simplefilter("ignore", UserWarning)  # letters that the measuring font lacks; the browser has them
        figure = Figure(figsize=(width, height), layout="constrained")
        chart = Chart(figure.add_subplot())
        yield chart
        drawn = io.StringIO()
        FigureCanvasSVG(figure).print_svg(drawn, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    chart.svg = _themed(drawn.getvalue(), f"max-width:{width * SIZE:.0f}px")


def _themed(svg: str, style: str) -> Markup:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<style type="text/css">.*?</style>', "", body, flags=re.DOTALL)  # it would style the whole page
    body = re.sub(r'<g id="[a-z_]+_\d+">', "<g>", body)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(
        r'<svg (?=[^>]*?viewBox="([^"]*)")[^>]*>',
        rf'<svg viewBox="\1" style="{style}" xmlns:xlink="http://www.w3.org/1999/xlink">',
        body,
        count=1,
    )
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    return Markup(body)  # matplotlib escapes the text of an SVG; a test gives it hostile names


def _short(text: str, limit: int = 16) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


Scored = tuple[str, Score, bool, bool]
"""A name, its score, whether it is without transfer, and whether it stands out."""


def candidates(found: Sequence[Candidate], delivered: str, metric: str) -> Markup:
    """Every scored arm with its interval, in the order given."""
    return scores([(c.name, c.score, c.role == "control", c.name == delivered) for c in found if c.score], metric)


def scores(scored: Sequence[Scored], metric: str) -> Markup:
    """Scores with their intervals, in the order given; a ring is without transfer."""
    if not scored:
        return Markup("")
    with _chart("scores", 4.8, 0.55 + 0.24 * len(scored)) as chart:
        axes = chart.axes
        for y, (_, score, control, bold) in enumerate(scored):
            colour = SERIES[1 if control else 0]
            axes.plot([score.low, score.high], [y, y], color=colour, lw=3 if bold else 1.6, alpha=0.55)
            face = SURFACE if control else colour
            axes.plot([score.value], [y], "o", color=colour, mfc=face, mew=1.5, ms=6.5 if bold else 4.5)
        axes.set_yticks(range(len(scored)), [_short(name, 34) for name, *_ in scored], color=INK)
        axes.set_ylim(len(scored) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlabel(metric)
    return chart.svg


def stages(curve: Sequence[StageScore], right: str = "accuracy") -> Markup:
    """Leave-one-out accuracy by stage, a line a source; a source of one stage is a level.

    Args:
        curve: the scores.
        right: what accuracy is called in this kind of task.
    """
    sources = list(dict.fromkeys(s.source for s in curve))
    by_source = {name: [s for s in curve if s.source == name] for name in sources}
    longest = max(by_source.values(), key=len)
    with _chart("stages", 4.6, 3.2) as chart:
        axes = chart.axes
        for i, (name, points) in enumerate(by_source.items()):
            values, colour = [p.accuracy for p in points], SERIES[i % len(SERIES)]
            if len(points) == 1:
                axes.axhline(values[0], color=colour, lw=1.4, ls=(0, (4, 3)), label=_short(name, 40))
            else:
                axes.plot(range(len(values)), values, "o-", color=colour, ms=4, lw=1.8, label=_short(name, 40))
        named = [_short(p.stage, 12) for p in longest]
        axes.set_xticks(range(len(longest)), named, rotation=35 if max(map(len, named)) > 4 else 0)
        axes.set_xlabel("stage, from input to output")
        axes.set_ylabel(f"leave-one-out {right}")
        axes.figure.legend(loc="outside upper left", ncols=2 if len(sources) > 2 else 1, fontsize=8)
    return chart.svg


def learning(curve: LearningCurve, metric: str, priced: str | None, more: Span | None) -> Markup:
    """Score by labels, an arm of either side with its interval.

    Dashed: the labels that one saves against the other. Dotted: what as many again are worth at most.

    Args:
        curve: of both sides.
        metric: its name.
        priced: the arm whose labels are priced.
        more: its score with twice the labels.
    """
    with _chart("learning", 4.6, 3.2) as chart:
        axes, sizes = chart.axes, [point.labels for point in curve.points]
        sides = (
            (curve.transfer, [p.transfer for p in curve.points]),
            (curve.control, [p.control for p in curve.points]),
        )
        for (name, spans), colour, marker in zip(sides, SERIES, "os", strict=False):
            _band(axes, sizes, spans, colour, 0.14)
            axes.plot(sizes, [s.value for s in spans], f"{marker}-", color=colour, ms=4, lw=1.8, label=_short(name, 30))
            if more is not None and name == priced:
                ahead, now = [sizes[-1], 2 * sizes[-1]], spans[-1].value
                _band(axes, ahead, [Span(value=now, low=now, high=now), more], colour, 0.07)
                axes.plot(ahead, [now, more.value], color=colour, lw=1.8, ls=(0, (1, 2)))
        _saved(axes, curve)
        ticks = [*sizes, 2 * sizes[-1]] if more is not None else sizes
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("labels to learn from")
        axes.set_ylabel(metric)
        axes.figure.legend(loc="outside upper left", ncols=2, fontsize=8)
    return chart.svg


def _band(axes: Axes, sizes: Sequence[float], spans: Sequence[Span], colour: str, alpha: float) -> None:
    axes.fill_between(sizes, [s.low for s in spans], [s.high for s in spans], color=colour, alpha=alpha, lw=0)


def _saved(axes: Axes, curve: LearningCurve) -> None:
    """The line between the labels that either side needs for the same score."""
    saved = curve.saved
    few, many = sorted((saved.transfer, saved.control))
    axes.plot([few, many], [saved.score] * 2, color=INK, lw=1.2, ls=(0, (4, 3)))
    said = f"{'at least ' if many / few >= saved.most else ''}{many / few:.2g}\N{MULTIPLICATION SIGN} the labels"
    if many > 1.15 * few:
        axes.annotate(said, ((many * few) ** 0.5, saved.score), (0, -12), textcoords="offset points", ha="center")


def training(arm: str, epochs: Sequence[dict[str, Any]]) -> Markup:
    """Training and validation loss of every unit of work of one arm."""
    units = list(dict.fromkeys(e["unit"] for e in epochs))
    with _chart(f"training {arm}", 4.6, 2.8) as chart:
        axes = chart.axes
        for unit in units:
            rows = [e for e in epochs if e["unit"] == unit]
            fade = 0.9 if len(units) == 1 else 0.55
            for key, colour in (("train_loss", SERIES[0]), ("validation_loss", SERIES[1])):
                points = [(e["epoch"], e[key]) for e in rows if e.get(key) is not None]
                axes.plot(
                    *zip(*points, strict=True) if points else ((), ()),
                    color=colour,
                    lw=1.7,
                    alpha=fade,
                    marker=".",
                    ms=4,
                )
        axes.plot([], [], color=SERIES[0], lw=1.7, label="training")
        if any(e.get("validation_loss") is not None for e in epochs):
            axes.plot([], [], color=SERIES[1], lw=1.7, label="validation")
        axes.legend(fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
    return chart.svg


def confusion(counts: Floats, classes: Sequence[str]) -> Markup:
    """(C, C) counts, truth by rows; shade is the share of the row, the number the count."""
    n = len(classes)
    size = min(2.2 + 0.36 * n, 7.0)
    with _chart("confusion", size + 0.6, size) as chart:
        axes = chart.axes
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
        for i, j in np.argwhere(counts > 0):
            colour, alpha = SERIES[0 if i == j else 1], float(0.06 + 0.6 * shares[i, j])
            axes.add_patch(Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, lw=0, color=colour, alpha=alpha))
            axes.text(j, i, f"{counts[i, j]:.0f}", ha="center", va="center", fontsize=10 if n < 8 else 7.5)
        names = [_short(c) for c in classes]
        axes.set_xticks(range(n), names, rotation=0 if n < 4 else 60, ha="center" if n < 4 else "right", color=INK)
        axes.set_yticks(range(n), names, color=INK)
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal", xlabel="said", ylabel="true")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return chart.svg


def scatter(truth: Floats, said: Floats, off: float | None, name: str) -> Markup:
    """What was predicted against what was true, and the band that 90 % of the predictions are in.

    Args:
        truth: (r,).
        said: (r,).
        off: half of the band's height.
        name: of the target.
    """
    with _chart("scatter", 5.0, 4.0) as chart:
        axes = chart.axes
        ends = np.array([min(truth.min(), said.min()), max(truth.max(), said.max())], dtype=float)
        axes.plot(ends, ends, color=MUTED, lw=1, ls=(0, (2, 3)))
        if off is not None:
            axes.fill_between(ends, ends - off, ends + off, color=SERIES[0], alpha=0.12, lw=0)
        axes.scatter(truth, said, s=14, color=SERIES[0], alpha=0.55, lw=0)
        axes.set_xlabel(f"true {_short(name)}")
        axes.set_ylabel("said")
    return chart.svg


def calibration(curves: Sequence[tuple[str, Floats, Ints, Floats]]) -> Markup:
    """Share that was right against stated confidence, in ten bins.

    Args:
        curves: label, (r,) confidences, (r,) right or not, (r,) weights.
    """
    with _chart("calibration", 4.0, 3.2) as chart:
        axes = chart.axes
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (2, 3)))
        lowest = 1.0
        for (label, confidence, right, weights), colour in zip(curves, (MUTED, SERIES[0]), strict=False):
            bins = np.minimum((confidence * 10).astype(int), 9)
            total = np.bincount(bins, weights=weights, minlength=10)
            used = total > 0
            x = np.bincount(bins, weights=weights * confidence, minlength=10)[used] / total[used]
            y = np.bincount(bins, weights=weights * right, minlength=10)[used] / total[used]
            axes.plot(x, y, "-", color=colour, lw=1.6, label=label)
            axes.scatter(x, y, s=8 + 60 * total[used] / total.sum(), color=colour, lw=0)
            lowest = min(lowest, float(x.min()), float(y.min()))
        axes.set(xlim=(max(lowest - 0.05, 0), 1.02), ylim=(max(lowest - 0.05, 0), 1.02))
        axes.figure.legend(loc="outside upper left", ncols=2, fontsize=8)
        axes.set_xlabel("stated probability")
        axes.set_ylabel("share that was right")
    return chart.svg
