"""What a report shows of the examples themselves, gathered when a run ends: small pictures, what answers rest on."""

import base64
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from headstart.data.store import Store
from headstart.data.targets import spoken
from headstart.evaluation.occlusion import Occluded, occlude
from headstart.modalities.catalog import Reader, reader
from headstart.report import inputs
from headstart.runs import Saved
from headstart.training.plan_learner import FittedNet

EXPLAINED = 6  # examples, half of them mistakes where there are so many
SHARE, LEAST, MOST = 0.1, 2.0, 15.0  # of the minutes that explanations may take, and seconds
STEPS = 160  # of a series that are drawn
CHANNELS = 6


def write(run: Path, data: Dataset, progress: Progress) -> None:
    """Keep beside a run's record what its page shows of the data; see `gather`."""
    (run / inputs.EXHIBITS).write_text(gather(run, data, progress).to_json(), encoding="utf-8")


def gather(run: Path, data: Dataset, progress: Progress) -> Exhibits:
    """What the page of a run shows of its data.

    Args:
        run: the folder with its record, predictions and model.
        data: everything that was read, the test part and what was left out included.
        progress: told what is done.
    """
    by_name, who = {item.name: item for item in data.items}, reader(data.modality.name)
    started = time.perf_counter()
    try:
        explained, why = _explained(run, data, by_name, progress)
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
    run: Path, data: Dataset, by_name: Mapping[str, Item], progress: Progress
) -> tuple[tuple[Explanation, ...], str]:
    """Explanations of telling examples, as many as there is time for, and why there are none."""
    saved, work = Saved.open(run), work_file.read(run / work_file.NAME)
    read = [saved.fitted.source] if isinstance(saved.fitted, FittedNet) else [one.name for one in saved.sources]
    each = sum(work.forward.get(name, 0.0) for name in read)
    seconds = min(max(SHARE * 60 * work.asked.minutes, LEAST), MOST)
    items = [by_name[name] for name in inputs.telling(run, EXPLAINED) if name in by_name]
    with progress.step("explaining"), tempfile.TemporaryDirectory() as scratch:
        saved = _apart(saved, Path(scratch) / "cache")
        found = occlude(
            items, data.items, data.modality, _states(saved, data, progress), saved.named, Path(scratch),
            kind=data.task.kind, most=int(seconds / max(each, 1e-6)),
        )  # fmt: skip
    why = f"no example has parts to leave out, or each takes more than {seconds:.0f} seconds"
    return tuple(_written(one, data) for one in found), "" if found else why


def _apart(saved: Saved, cache: Path) -> Saved:
    """The same model; a net leaves what it prepared elsewhere than in the cache, where it would never be read again."""
    fitted = saved.fitted
    return replace(saved, fitted=replace(fitted, store=Store(cache))) if isinstance(fitted, FittedNet) else saved


def _states(saved: Saved, data: Dataset, progress: Progress) -> Callable[[Sequence[Item]], Floats]:
    def stated(items: Sequence[Item]) -> Floats:
        empty = np.zeros((len(items), *data.targets.shape[1:]), dtype=data.targets.dtype)
        asked = replace(data, items=tuple(items), targets=empty, groups=np.arange(len(items)), parts=None)
        return saved.stated(asked, progress)

    return stated


def _written(one: Occluded, data: Dataset) -> Explanation:
    at = next(i for i, item in enumerate(data.items) if item.name == one.name)
    said = data.task.classes[one.code] if data.task.classes else f"{one.stated:.4g}"
    parts = tuple(
        Weight(part=part.name, span=part.span, fall=round(float(fall), 5), odds=round(float(odds), 3))
        for part, fall, odds in zip(one.parts, one.falls, one.odds, strict=True)
    )
    truth = spoken(data.targets[at], data.task)
    return Explanation(example=one.name, truth=truth, said=said, stated=round(one.stated, 5), parts=parts)
