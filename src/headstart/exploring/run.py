"""`explore`: composes reading, features, map, clusters and what stands out; labels are used where there are any."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart import asking
from headstart.core.errors import UserError
from headstart.core.extras import installed, require
from headstart.core.predictions import Floats, Ints
from headstart.core.problem import Kind
from headstart.core.progress import Progress, Silent
from headstart.data.dataset import Dataset
from headstart.data.handed import Given
from headstart.data.inspect import near_duplicates
from headstart.data.labelled import Where
from headstart.data.store import Store
from headstart.data.targets import spoken
from headstart.evaluation.suspects import suspects, tells
from headstart.exploring.result import Accused, Alike, Apart, Cluster, Clusters, Explored, Point
from headstart.features.extract import Tappable, extract
from headstart.features.table import FeatureTable
from headstart.linear.heads import Ridge
from headstart.modalities.catalog import Reader, kind_of, reader
from headstart.report.map import write
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.load import load
from headstart.sources.preconditions import check_readable
from headstart.sources.source import Source
from headstart.sources.stages import resolve
from headstart.strategies.unsupervised.clustering import SMALLEST, Clustering, agreement, check, cluster, typical
from headstart.strategies.unsupervised.neighbours import distances, outliers
from headstart.strategies.unsupervised.reduction import MAPS, Map, chosen, flat, whitened

RAW = "raw"
LEAST = 3  # examples
TYPICAL = 5


@dataclass(frozen=True)
class _Seen:
    """The data as a source sees it.

    Attributes:
        data: examples.
        source: name of the source.
        stage: whose features were taken.
        features: (n, D) of that stage.
        raw: (n, P) raw inputs.
    """

    data: Dataset
    source: str
    stage: str
    features: Floats
    raw: Floats


def explore(
    path: Given,
    *,
    target: str | None = None,
    text: str | None = None,
    kind: Kind | None = None,
    test: Given | None = None,
    source: str | None = None,
    stage: str | None = None,
    clusters: str | int = "auto",
    way: Map = "auto",
    out: str | Path | None = None,
    thumbnails: bool = True,
    seed: int = 0,
    access: Access = NOTHING_SPECIAL,
    progress: Progress | None = None,
) -> Explored:
    """A map of data, with clusters, outliers, duplicates and, where there are labels, those that are probably wrong.

    Args:
        path: a folder or a table, with or without labels, or an object, as `fit` takes it.
        target: the label column of a table; none looks at the data without labels.
        text: the column of a table that holds texts.
        kind: of task, where a target is named; found from it unless said.
        test: another folder or table: the test part, in which copies of the rest are leaks.
        source: whose features are looked at; "raw" for the input itself. None takes the first of the defaults, and the
            raw values of tables, which have none.
        stage: of the source: "last", a name, an index.
        clusters: "auto" chooses how many, or finds none; a number; "hdbscan"; "none".
        way: of making the map: "pca", or "umap" (extra `explore`), which "auto" takes where it is installed.
        out: a folder for `map.html` and `explored.json`; None writes nothing.
        thumbnails: whether the page shows small pictures, beginnings of texts, and series.
        seed: of everything random.
        access: what is allowed when the source is loaded.
        progress: where steps are shown.

    Raises:
        UserError: whatever the user can mend.
    """
    started, shown, store = time.perf_counter(), progress or Silent(), Store()
    wanted = _checked(clusters, way)
    if out is not None and Path(out).is_file():
        raise UserError("a folder for --out", f"the file {out}", "Name another.")
    lies, target, held = asking.given(path, target, test, store)
    where = Where(lies, target, test=Path(held) if held else None, text=text, kind=kind, bare=True)
    read_by = reader(kind_of(where))
    seen = _seen(read_by.read(where, store, shown), read_by, source, stage, access, store, shown)
    with shown.step("map, clusters, outliers"):
        found = _explored(seen, wanted or "none", chosen(way), seed, str(lies))
    if wanted is None:
        said = "no clusters were looked for: pip install 'headstart[explore]' brings what finds them"
        found = replace(found, warnings=(*found.warnings, said))
    found = replace(found, seconds=round(time.perf_counter() - started, 2))
    if out is None:
        return found
    with shown.step("page"):
        found = replace(found, page=Path(out) / "map.html")
        small = {item.name: item for item in seen.data.items}
        write(Path(out), found, (lambda name: read_by.small(small[name])) if thumbnails else None)
    return found


def _checked(clusters: str | int, way: Map) -> str | None:
    """How clusters are looked for; None where nobody asked and what finds them is not installed."""
    if clusters == "auto" and not installed("sklearn"):
        return None
    check(str(clusters))
    if way not in ("auto", *MAPS):
        raise UserError(f"a map by auto, {' or '.join(MAPS)}", repr(way), "Leave it out to have it chosen.")
    if way == "umap":
        require("umap", "explore")
    return str(clusters)


def _seen(
    data: Dataset, read_by: Reader, name: str | None, stage: str | None, access: Access, store: Store, shown: Progress
) -> _Seen:
    if len(data) < LEAST:
        raise UserError(f"at least {LEAST} readable examples", str(len(data)), "Check the path and the layout.")
    net = _tapped(data, read_by, name, access, shown)
    table = extract([net, data.modality.baseline], data, store, shown)
    stages = tuple(net.widths)
    wanted, *others = resolve((stage or "last",), stages)
    if others:
        raise UserError("one --stage", f"{stage!r}, which is {', '.join((wanted, *others))}", "Name one of these.")
    raw = data.modality.baseline
    features = np.nan_to_num(table.of(net.name, wanted, data))
    return _Seen(data, net.name, wanted, features, np.nan_to_num(_only(table, raw.name, data)))


def _only(table: FeatureTable, name: str, data: Dataset) -> Floats:
    return table.of(name, table.stages(name)[0], data)


def _tapped(data: Dataset, read_by: Reader, name: str | None, access: Access, shown: Progress) -> Tappable:
    """What gives features: the named source, the first default, or the raw input."""
    own = data.modality.controls.get(RAW, data.modality.baseline)  # of tables, the values rather than the marks
    if name == RAW or (name is None and data.modality.name == "table"):
        return own
    (fitting,) = data.modality.fitting((name or read_by.sources[0],))
    found: Source = load(fitting, access, shown)
    check_readable(found.card, data)
    return found


def _explored(seen: _Seen, wanted: str, way: Map, seed: int, path: str) -> Explored:
    data, labels = seen.data, _labels(seen.data)
    directions = whitened(seen.features)
    groups, apart = cluster(directions, wanted, seed), distances(directions)
    places = flat(directions, way, seed)
    points = tuple(
        Point(item.name, labels[i], None if data.parts is None else data.parts[i], round(float(places[i, 0]), 4),
              round(float(places[i, 1]), 4), int(groups.codes[i]), round(float(apart[i]), 4))
        for i, item in enumerate(data.items)
    )  # fmt: skip
    return Explored(
        path=path, kind=data.modality.name, source=seen.source, stage=seen.stage, way=way, points=points,
        clusters=_clusters(data, directions, groups, labels, wanted),
        outliers=tuple(
            Apart(data.items[i].name, round(float(apart[i]), 4)) for i in outliers(apart).tolist()
        ),
        duplicates=_duplicates(seen, labels), suspects=_suspects(data, seen.features),
        skipped=tuple((one.name, one.why) for one in data.skipped), warnings=data.warnings, seed=seed, seconds=0.0,
    )  # fmt: skip


def _labels(data: Dataset) -> list[str | None]:
    """The label of each example in words; None where it has none."""
    unknown = np.isnan(data.targets) if data.task.kind == "regression" else _first(data.targets) < 0
    return [None if nobody else spoken(one, data.task) for one, nobody in zip(data.targets, unknown, strict=True)]


def _first(targets: Ints) -> Ints:
    return targets if targets.ndim == 1 else targets.min(axis=1, initial=0)


def _clusters(data: Dataset, directions: Floats, groups: Clustering, labels: list[str | None], wanted: str) -> Clusters:
    classes = data.task.kind == "classification" and any(label is not None for label in labels)
    near = typical(directions, groups, TYPICAL)
    found = tuple(
        Cluster(
            number, int((groups.codes == number).sum()), tuple(data.items[at].name for at in near[number]),
            _counted([labels[i] for i in np.flatnonzero(groups.codes == number)]) if classes else {},
        )
        for number in range(len(groups.centres))
    )  # fmt: skip
    known = np.flatnonzero((groups.codes >= 0) & (data.targets >= 0)) if classes else np.zeros(0, dtype=int)
    both = agreement(data.targets[known], groups.codes[known]) if len(known) else (None, None)
    tried = tuple(
        {"k": one.k, "stability": round(one.stability, 3), "silhouette": round(one.silhouette, 3),
         "null": round(one.null, 3)}
        for one in groups.tried
    )  # fmt: skip
    return Clusters(found, _sentence(groups, wanted), groups.clear, tried, *both)


def _counted(labels: list[str | None]) -> dict[str, int]:
    known = sorted({label for label in labels if label is not None})
    return dict(sorted(((label, labels.count(label)) for label in known), key=lambda one: -one[1]))


def _sentence(groups: Clustering, wanted: str) -> str:
    """What to think of the clusters."""
    k, n = len(groups.centres), len(groups.codes)
    if wanted == "none":
        return "Clusters were not asked for."
    if wanted == "hdbscan":
        return _dense(k, int((groups.codes < 0).sum()))
    if wanted != "auto" and k < int(wanted):
        return f"{k} clusters, not {wanted} as asked: no more than {k} examples differ."
    if not groups.tried:
        return f"No clusters were looked for: {n} examples are too few, {2 * SMALLEST} would do. Ask for a number."
    return _judged(groups, k)


def _dense(k: int, alone: int) -> str:
    if not k:
        return "No clear clusters: no region is dense."
    return f"{k} dense clusters; {alone} examples lie in none. Whether they repeat themselves was not looked at."


def _judged(groups: Clustering, k: int) -> str:
    """Whether they repeat themselves, and part more than chance does."""
    at = next((one for one in groups.tried if one.k == k), None)
    if at is None:
        best = max(groups.tried, key=lambda one: one.stability)
        most = f" (at best {best.stability:.2f}, with {best.k})"
        return f"No clear clusters: no number of them repeats itself on halves of the data and beats chance{most}."
    said = f"they repeat themselves to {at.stability:.2f} on halves of the data (1 is perfect)"
    if groups.clear:
        return f"{k} clusters: {said}, and part more than chance does."
    return (
        f"{k} clusters as asked, but not clear ones: {said}, silhouette {at.silhouette:.2f}, by chance {at.null:.2f}."
    )


def _duplicates(seen: _Seen, labels: list[str | None]) -> tuple[Alike, ...]:
    """Groups of equal and, where copies can be told from likeness, nearly equal examples."""
    data = seen.data
    if data.modality.copied:
        _, together = near_duplicates(seen.features, _of_one_contrast(seen.raw))
    else:
        first: dict[str, list[int]] = {}
        for at, key in enumerate(data.keys):
            first.setdefault(key, []).append(at)
        together = tuple(tuple(members) for members in first.values() if len(members) > 1)
    return tuple(
        Alike(
            tuple(data.items[i].name for i in members),
            len({labels[i] for i in members if labels[i] is not None}) > 1,
            data.parts is not None and len({data.parts[i] for i in members}) > 1,
        )
        for members in together
    )


def _of_one_contrast(raw: Floats) -> Floats:
    """(n, P) raw inputs of mean 0 and deviation 1 each, so that a brighter copy is a copy."""
    centred = raw - raw.mean(axis=1, keepdims=True)
    return centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-6)


def _suspects(data: Dataset, features: Floats) -> tuple[Accused, ...] | None:
    """Labels that the others, by exact leave-one-out, speak against; None where there are no two classes."""
    if data.task.kind != "classification":
        return None
    known = np.flatnonzero(data.targets >= 0)
    codes, own = np.unique(data.targets[known], return_inverse=True)
    if len(codes) < 2:
        return None
    stated = Ridge.fit([features[known]], own, len(codes), None).loo
    classes = [data.task.classes[code] for code in codes]
    if not tells(stated, own):
        return ()
    return tuple(
        Accused(data.items[known[one.index]].name, classes[one.given], classes[one.likely], round(one.score, 4))
        for one in suspects(stated, own)
    )
