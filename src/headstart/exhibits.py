"""What a report shows of the examples themselves, gathered when a run ends: small pictures, what answers rest on."""

import base64
import contextlib
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from headstart.advisor import work as work_file
from headstart.core.errors import HeadstartError
from headstart.core.exhibits import Exhibit, Exhibits, Explanation, Weight
from headstart.core.predictions import Floats
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset, Item
from headstart.data.targets import spoken
from headstart.evaluation.familiarity import MOST, NAME, Familiar
from headstart.evaluation.occlusion import Occluded, occlude
from headstart.features.extract import extract
from headstart.features.prepared import Prepared
from headstart.modalities.catalog import Reader, reader
from headstart.report import inputs, page
from headstart.saved import Saved
from headstart.training.loop import predict
from headstart.training.plan_learner import FittedNet

EXPLAINED = 6  # examples, half of them mistakes where there are so many
FEWEST = 10  # training examples that new ones can be compared with
MOST_OF_A_NET = 300  # whose features no cache has
SHARE, LEAST, LONGEST = 0.1, 2.0, 15.0  # of the minutes that explanations may take, and seconds
STEPS = 160  # of a series that are drawn
CHANNELS = 6


def write(run: Path, data: Dataset, training: Dataset, progress: Progress) -> None:
    """Keep beside a run's record what its page shows of the data, and what its model knows; see `gather`, `known`."""
    saved = Saved.open(run)
    (run / inputs.EXHIBITS).write_text(gather(run, saved, data, progress).to_json(), encoding="utf-8")
    if len(training) >= FEWEST:
        with contextlib.suppress(HeadstartError, OSError):  # a file has gone meanwhile; the run stands without it
            known(saved, training, progress).write(run)


def forget(run: Path) -> None:
    """Take the examples out of a run and its page again."""
    for path in (run / inputs.EXHIBITS, *run.glob(f"{NAME}.*")):
        path.unlink(missing_ok=True)
    page.write(run)


def known(saved: Saved, training: Dataset, progress: Progress) -> Familiar:
    """Examples that new ones are compared with, as the delivered model sees them: all, or so many by lot."""
    net = isinstance(saved.fitted, FittedNet)
    chances = np.random.default_rng(0)  # which of thousands are kept is not a matter of the run's seed
    lot = chances.permutation(len(training))[: MOST_OF_A_NET if net else MOST]
    some = training.take(np.sort(lot))
    with progress.step("keeping what the model knows"):
        who, features = reader(training.modality.name), features_of(saved, some, progress)
        shown = [_small(who, item) for item in some.items]
    labels = [spoken(target, some.task) for target in some.targets]
    return Familiar.of(features, [item.name for item in some.items], labels, shown)


def features_of(saved: Saved, some: Dataset, progress: Progress) -> Floats:
    """(n, D) what the delivered model's answers rest on, from the cache as far as it has them."""
    if isinstance(saved.fitted, FittedNet):
        prepared = Prepared(some, saved.fitted.origin.input, saved.store, progress)
        return predict(saved.fitted.net, some, prepared, features=True)
    source, stage = saved.fitted.solved.taps[-1]
    (read,) = (one for one in saved.sources if one.name == source)
    return extract([read], some, saved.store, progress, saved.modes).of(source, stage, some)


def gather(run: Path, saved: Saved, data: Dataset, progress: Progress) -> Exhibits:
    """What the page of a run shows of its data.

    Args:
        run: the folder with its record, predictions and model.
        saved: its delivered model.
        data: everything that was read, the test part and what was left out included.
        progress: told what is done.
    """
    by_name, who = {item.name: item for item in data.items}, reader(data.modality.name)
    started = time.perf_counter()
    try:
        explained, why = _explained(run, saved, data, by_name, progress)
    except (
        HeadstartError,
        OSError,
    ) as error:  # the run stands without it; a page that says why is worth more than none
        explained, why = (), str(error).splitlines()[0]
    seconds = time.perf_counter() - started
    names = dict.fromkeys((*inputs.exhibited(run), *(one.example for one in explained)))
    shown = {name: _shown(who, by_name[name]) for name in names if name in by_name}
    return Exhibits(shown=shown, explained=explained, why_none=why, seconds=seconds)


def _shown(who: Reader, item: Item) -> Exhibit:
    try:
        found = who.shown(item)
    except OSError:  # it has gone since it was read
        return Exhibit()
    return next(make(found) for kind, make in _AS.items() if isinstance(found, kind))


def _small(who: Reader, item: Item) -> Exhibit:
    """As one of a thousand."""
    try:
        found = who.small(item)
    except OSError:
        return Exhibit()
    if isinstance(found, bytes | str):
        return _AS[type(found)](found)
    return Exhibit(lines=tuple(tuple(channel) for channel in found))


def _picture(found: bytes) -> Exhibit:
    kind = "png" if found.startswith(b"\x89PNG") else "jpeg"
    return Exhibit(picture=f"data:image/{kind};base64,{base64.b64encode(found).decode()}")


def _lines(found: Floats) -> Exhibit:
    """Every so many-th step of the first channels, in four digits."""
    at = np.unique(np.linspace(0, found.shape[1] - 1, min(STEPS, found.shape[1])).astype(int))
    rows = found[:CHANNELS, at].tolist()
    return Exhibit(lines=tuple(tuple(float(f"{v:.4g}") if np.isfinite(v) else None for v in row) for row in rows))


_AS: Mapping[Any, Callable[[Any], Exhibit]] = MappingProxyType(
    {
        bytes: _picture,
        str: lambda words: Exhibit(words=words),
        np.ndarray: _lines,
        dict: lambda cells: Exhibit(cells=cells),
    }
)


def _explained(
    run: Path, saved: Saved, data: Dataset, by_name: Mapping[str, Item], progress: Progress
) -> tuple[tuple[Explanation, ...], str]:
    """Explanations of telling examples, as many as there is time for, and why there are none."""
    minutes = work_file.read(run / work_file.NAME).asked.minutes
    seconds = min(max(SHARE * 60 * minutes, LEAST), LONGEST)
    items = [by_name[name] for name in inputs.telling(run, EXPLAINED) if name in by_name]
    with progress.step("explaining"), tempfile.TemporaryDirectory() as scratch:
        found = occlude(
            items, data.items, data.modality, saved.stated, saved.named, Path(scratch), data.task.kind, seconds
        )
    why = f"no example has parts to leave out, or each takes more than {seconds:.0f} seconds"
    return tuple(_written(one, data) for one in found), "" if found else why


def _written(one: Occluded, data: Dataset) -> Explanation:
    at = next(i for i, item in enumerate(data.items) if item.name == one.name)
    said = data.task.classes[one.code] if data.task.classes else f"{one.stated:.4g}"
    parts = tuple(
        Weight(part=part.name, span=part.span, fall=round(float(fall), 5), odds=round(float(odds), 3))
        for part, fall, odds in zip(one.parts, one.falls, one.odds, strict=True)
    )
    truth = spoken(data.targets[at], data.task)
    if data.task.kind == "multi-label":  # one label is explained; the others, true or not, are beside the point
        truth = said if data.targets[at][one.code] else f"not {said}"
    return Explanation(example=one.name, truth=truth, said=said, stated=round(one.stated, 5), parts=parts)
