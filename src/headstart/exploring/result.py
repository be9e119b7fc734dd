"""What `explore` finds, as values: nothing here computes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Point:
    """An example on the map.

    Attributes:
        name: as the data has it.
        label: its class, labels or number in words; None where there is none.
        part: "train" or "test", where the data says.
        x: -1 .. 1.
        y: -1 .. 1.
        cluster: its number, from 0, the largest first; -1 where it is in none.
        apart: mean cosine distance to its nearest neighbours.
    """

    name: str
    label: str | None
    part: str | None
    x: float
    y: float
    cluster: int
    apart: float


@dataclass(frozen=True)
class Cluster:
    """A group of examples that lie together.

    Attributes:
        number: from 0, the largest first.
        size: examples in it.
        typical: names of those nearest to its centre.
        labels: how many examples of each label are in it, the most frequent first; empty without labels.
    """

    number: int
    size: int
    typical: tuple[str, ...]
    labels: dict[str, int]


@dataclass(frozen=True)
class Clusters:
    """All of them, and whether they are real.

    Attributes:
        found: the clusters.
        sentence: what to think of them.
        clear: whether they repeat themselves on halves of the data, and part more than chance does.
        tried: stability, silhouette, and the silhouette without clusters, of every number that was looked at.
        ari: adjusted Rand index with the labels; None without labels or clusters.
        nmi: normalised mutual information with the labels.
    """

    found: tuple[Cluster, ...]
    sentence: str
    clear: bool
    tried: tuple[dict[str, float], ...]
    ari: float | None
    nmi: float | None


@dataclass(frozen=True)
class Apart:
    """An example that is like no other."""

    name: str
    distance: float


@dataclass(frozen=True)
class Alike:
    """Examples that are equal or nearly so.

    Attributes:
        names: of them.
        conflict: whether they carry different labels.
        leak: whether some are of the training part and some of the test part.
    """

    names: tuple[str, ...]
    conflict: bool
    leak: bool


@dataclass(frozen=True)
class Accused:
    """An example whose label is probably wrong; see `headstart.evaluation.suspects`."""

    name: str
    given: str
    likely: str
    score: float


@dataclass(frozen=True)
class Explored:
    """A map of data, and what stands out in it.

    Attributes:
        path: of the data, as it was asked for.
        kind: of data.
        source: whose features were looked at.
        stage: of them.
        way: how the map was made: pca or umap.
        points: every example.
        clusters: groups that lie together.
        outliers: the farthest from all others, farthest first.
        duplicates: equal and nearly equal examples.
        suspects: labels that are probably wrong, surest first; None where there are no classes to tell.
        skipped: name and reason of what could not be read.
        warnings: what is worth knowing.
        seed: of everything random.
        seconds: it took.
        page: the map as a page, where one was written.
    """

    path: str
    kind: str
    source: str
    stage: str
    way: str
    points: tuple[Point, ...]
    clusters: Clusters
    outliers: tuple[Apart, ...]
    duplicates: tuple[Alike, ...]
    suspects: tuple[Accused, ...] | None
    skipped: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    seed: int
    seconds: float
    page: Path | None = None

    def values(self) -> dict[str, Any]:
        """As plain values, `schema` first."""
        found = {"schema": 1, **asdict(self)}
        found["page"] = None if self.page is None else str(self.page)
        found["skipped"] = [{"name": name, "why": why} for name, why in self.skipped]
        return found

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(self.values(), indent=2, allow_nan=False)

    def __str__(self) -> str:
        accused = "" if self.suspects is None else f", {len(self.suspects)} suspected labels"
        lines = [
            f"{len(self.points)} examples of {self.path} by {self.source}, stage {self.stage}",
            self.clusters.sentence,
            f"{len(self.outliers)} outliers, {len(self.duplicates)} groups of duplicates{accused}",
        ]
        return "\n".join([*lines, str(self.page)] if self.page else lines)
