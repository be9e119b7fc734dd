"""Estimators for scikit-learn: a source's frozen features, alone or with the project's ridge on them.

    from headstart.sklearn import SourceFeatures, TransferClassifier
    model = TransferClassifier("wheel:efficientnet-lite0").fit(paths, labels)
    model.predict_proba(["new.png"])
    make_pipeline(SourceFeatures("wheel:efficientnet-lite0", stage="-2"), LogisticRegression()).fit(paths, labels)

Nothing here moves a weight of the source: fine-tuning, controls and the verdict are what `headstart.fit` is for.

X is what the source's card takes: paths of pictures or texts (a sequence, or one column of an array or data frame),
series as (n, steps) or (n, channels, steps) numbers, tables as (n, columns) with the names of a data frame or x0, x1,
.... NaN is a missing value. Features come from the cache that all runs share, by content: searches, folds and clones
compute them once. With `n_jobs`, fit once before, or processes that begin together compute the same. Estimators hold
the names of sources, never their nets; a process loads a source once.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from numbers import Real
from pathlib import Path
from typing import Any, Self

import numpy as np

from headstart.core.errors import UserError
from headstart.core.extras import require
from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Kind, Task
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset, Item
from headstart.data.store import Store, cache_root
from headstart.data.tables import is_file
from headstart.features.extract import extract
from headstart.linear.heads import Ridge
from headstart.modalities.image.read import read_files
from headstart.modalities.series.read import read_values
from headstart.modalities.table.columns import Cell, number
from headstart.modalities.table.modality import TABLE
from headstart.modalities.text.read import read_inputs as read_texts
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.card import KINDS
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.sources.stages import resolve

_base = require("sklearn", "sklearn").base
_validation = require("sklearn.utils.validation", "sklearn")
_multiclass = require("sklearn.utils.multiclass", "sklearn")

DEFAULT = "wheel:efficientnet-lite0"
LOADED = 4  # sources that stay in memory
UNKNOWN = Task(name="", kind="regression", classes=())  # features are the same whatever is predicted from them
SHOWN = 60  # characters of a wrong value


def cache() -> Store:
    """The shared cache as this process sees it; its counters say what was decoded, computed and read."""
    return _store(cache_root())


class _OnSource(_base.BaseEstimator):
    """What reads features of a source; subclasses have the parameters `source`, `stage` and `access`."""

    source: str
    stage: str
    access: Access | None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags

    def _fit_blocks(self, X: Any) -> list[Floats]:
        """Settle source and stages, and give the (n, D) features of each stage."""
        source, _ = _loaded(self.source, self.access)
        self.stages_ = resolve((self.stage,), source.card.stage_names())
        data = self._read(X, source, reset=True)
        self.source_ = self.source
        if data.modality.name == "series":  # only they tell what is missing in a name: how many channels there are
            (self.source_,) = data.modality.fitting((self.source,))
        source, self.identity_ = _loaded(self.source_, self.access)
        return self._blocks(source, data)

    def _known_blocks(self, X: Any) -> list[Floats]:
        """The (n, D) features of each stage, from the source that was fitted with."""
        _validation.check_is_fitted(self)
        source, identity = _loaded(self.source_, self.access)
        if identity != self.identity_:
            raise UserError(f"{self.source_} as it was fitted with", "other weights or preprocessing", "Fit again.")
        return self._blocks(source, self._read(X, source, reset=False))

    def _read(self, X: Any, source: Source, *, reset: bool) -> Dataset:
        return READ[KINDS[type(source.input)]](self, X, reset)

    def _blocks(self, source: Source, data: Dataset) -> list[Floats]:
        table = extract([source], data, cache(), Silent())
        return [table.of(source.name, stage, data) for stage in self.stages_]


class SourceFeatures(_base.ClassNamePrefixFeaturesOutMixin, _base.TransformerMixin, _OnSource):
    """(n, D) float32 features of a frozen source, as a transformer.

    Args:
        source: a name as `headstart sources list` has it; surgery may stand behind it.
        stage: a name of the card, "first", "last" or an index; several ("..-2", "*") are put side by side.
        access: what is allowed when the source is loaded; None allows nothing special.

    Attributes:
        source_: the source's name with the surgery that the data need.
        identity_: sha256 of all that determines the features.
        stages_: that are read, input to output.
    """

    def __init__(self, source: str = DEFAULT, stage: str = "last", access: Access | None = None) -> None:
        self.source = source
        self.stage = stage
        self.access = access

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Settle source and stages.

        Args:
            X: n examples, as the module says.
            y: not looked at.

        Raises:
            UserError: no such source or stage, or X is not what the source takes.
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Floats:  # noqa: ARG002 - scikit-learn hands it to all
        """Fit, and give the (n, D) features."""
        found = np.hstack(self._fit_blocks(X))
        self._n_features_out = found.shape[1]
        return found

    def transform(self, X: Any) -> Floats:
        """(n, D) features.

        Raises:
            UserError: X is not what the source takes, or the source is not what it was.
        """
        return np.hstack(self._known_blocks(X))


class _Transfer(_OnSource):
    """The features of a frozen source, and a ridge on them. Subclasses say what is predicted."""

    def __init__(
        self, source: str = DEFAULT, stage: str = "last", penalty: float | None = None, access: Access | None = None
    ) -> None:
        self.source = source
        self.stage = stage
        self.penalty = penalty
        self.access = access

    def _fit_head(self, X: Any, targets: Targets, outputs: int, kind: Kind) -> Self:
        if self.penalty is not None and not 0 < self.penalty < float("inf"):
            raise UserError("a positive penalty", repr(self.penalty), "None chooses it by leave-one-out.")
        _validation.check_consistent_length(X, targets)
        if len(targets) < 2:
            raise UserError("at least two examples", "1 sample", "Leave-one-out needs another one.")
        self.head_ = Ridge.fit(self._fit_blocks(X), targets, outputs, self.penalty, kind=kind)
        return self

    def _predicted(self, X: Any) -> Floats:
        blocks = self._known_blocks(X)  # first: it says what is not fitted
        return self.head_.predict(blocks)


class TransferClassifier(_base.ClassifierMixin, _Transfer):
    """A classifier: the features of a frozen source, a ridge on them, and calibrated probabilities.

    Args:
        source: a name as `headstart sources list` has it; surgery may stand behind it.
        stage: a name of the card, "first", "last" or an index; several ("..-2", "*") share the variance equally.
        penalty: of the ridge, times the mean eigenvalue of the features' Gram matrix; None is chosen by exact
            leave-one-out (Golub, Heath and Wahba 1979).
        access: what is allowed when the source is loaded; None allows nothing special.

    Attributes:
        source_, identity_, stages_: as of `SourceFeatures`.
        head_: the fitted `headstart.linear.heads.Ridge`, with its leave-one-out predictions.
        classes_: (C,) labels, sorted.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the ridge to one-hot labels, and one temperature to its leave-one-out predictions.

        Args:
            X: n examples, as the module says.
            y: (n,) labels.

        Raises:
            UserError: no such source or stage, X is not what the source takes, or there is one class only.
        """
        y = _validation.validate_data(self, y=y)
        _multiclass.check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise UserError("labels of at least two classes", "1 class", "Add examples of another one.")
        return self._fit_head(X, codes, len(self.classes_), "classification")

    def predict_proba(self, X: Any) -> Floats:
        """(n, C) calibrated probabilities, in the order of `classes_`.

        Raises:
            UserError: X is not what the source takes, or the source is not what it was.
        """
        return self._predicted(X)

    def predict(self, X: Any) -> Any:
        """(n,) labels; see `predict_proba`."""
        stated = self.predict_proba(X)
        return self.classes_[stated.argmax(axis=1)]


class TransferRegressor(_base.RegressorMixin, _Transfer):
    """A regressor: the features of a frozen source, and a ridge on them. The parameters are `TransferClassifier`'s.

    Attributes:
        source_, identity_, stages_: as of `SourceFeatures`.
        head_: the fitted `headstart.linear.heads.Ridge`, with its leave-one-out predictions.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the ridge.

        Args:
            X: n examples, as the module says.
            y: (n,) numbers.

        Raises:
            UserError: no such source or stage, or X is not what the source takes.
        """
        y = _validation.validate_data(self, y=y, y_numeric=True)
        return self._fit_head(X, y, 1, "regression")

    def predict(self, X: Any) -> Floats:
        """(n,) numbers.

        Raises:
            UserError: X is not what the source takes, or the source is not what it was.
        """
        return self._predicted(X)[:, 0]


@lru_cache(maxsize=LOADED)
def _loaded(name: str, access: Access | None) -> tuple[Source, str]:
    """A source and its identity."""
    source = load(name, access or NOTHING_SPECIAL)
    return source, source.identity


@lru_cache(maxsize=1)
def _store(root: Path) -> Store:
    return Store(root)


def _pictures(_estimator: Any, X: Any, _reset: bool) -> Dataset:
    paths = [Path(one) for one in _column(X, "paths of pictures", (str, Path))]
    gone = next((path for path in paths if not is_file(Path(), str(path))), None)
    if gone is not None:
        do = "Check the path; texts need a source of texts."
        raise UserError("paths of pictures", f"{_short(str(gone))}, where no file is", do)
    return read_files(paths, UNKNOWN, cache())


def _texts(_estimator: Any, X: Any, _reset: bool) -> Dataset:
    return read_texts([str(one) for one in _column(X, "texts", (str,))], UNKNOWN)


def _series(estimator: Any, X: Any, reset: bool) -> Dataset:
    checks = {"dtype": np.float32, "allow_nd": True, "ensure_all_finite": "allow-nan", "ensure_min_features": 2}
    values = _validation.validate_data(estimator, X, reset=reset, **checks)
    if values.ndim > 3:
        do = "Put what is not time into channels."
        raise UserError("(n, steps) or (n, channels, steps) numbers", f"an array of shape {values.shape}", do)
    return read_values(values if values.ndim == 3 else values[:, None], UNKNOWN)


def _rows(estimator: Any, X: Any, reset: bool) -> Dataset:
    dtype = None if isinstance(X, np.ndarray | list) else object  # columns of a data frame differ in type
    cells = _validation.validate_data(estimator, X, reset=reset, dtype=dtype, ensure_all_finite="allow-nan")
    named = getattr(estimator, "feature_names_in_", None)
    names = [f"x{at}" for at in range(cells.shape[1])] if named is None else named.tolist()
    order = sorted(range(len(names)), key=names.__getitem__)  # as rows of files are written: equal rows, equal keys
    items: list[Item] = []
    for at, row in enumerate(cells.tolist(), 1):
        content = json.dumps({names[column]: _cell(row[column]) for column in order})
        items.append(Item(f"row {at}", Path(), sha256(content.encode()).hexdigest(), content))
    return Dataset("", tuple(items), np.full(len(items), -1), np.arange(len(items)), UNKNOWN, TABLE)


READ: Mapping[str, Callable[[Any, Any, bool], Dataset]] = {
    "image": _pictures,
    "text": _texts,
    "series": _series,
    "table": _rows,
}
"""By the kind of data that a source takes: (estimator, X, whether it is being fitted) -> examples."""


def _column(X: Any, what: str, types: tuple[type, ...]) -> Sequence[Any]:
    """(n,) values, or (n, 1) of them, all of these types."""
    column = np.asarray(X, dtype=object)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        came = f"an array of shape {column.shape}" if column.ndim else _short(X)
        raise UserError(f"one column of {what}", came, "Give a list, or choose another source.")
    wrong = next((one for one in column if not isinstance(one, types)), None)
    if wrong is not None:
        raise UserError(what, _short(wrong), "Give strings, or choose another source.")
    return column.tolist()


def _cell(value: Any) -> Cell:
    """A cell as rows of tables are written."""
    if isinstance(value, str):
        return value
    if value is None or value is getattr(sys.modules.get("pandas"), "NA", None):  # who has one has imported it
        return None
    if isinstance(value, bool | np.bool_):
        return str(value)
    if isinstance(value, Real):
        return number(value)
    raise UserError("numbers and categories", _short(value), "Leave the column out, or choose another source.")


def _short(value: Any) -> str:
    said = " ".join(repr(value).split())
    return said if len(said) <= SHOWN else f"{said[:SHOWN]} …"
