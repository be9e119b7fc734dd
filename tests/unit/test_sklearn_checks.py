"""scikit-learn's own checks of estimators, on a source of tables: none is expected to fail."""

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart.sklearn import SourceFeatures, TransferClassifier, TransferRegressor

pytestmark = pytest.mark.slow  # 150 of them
SMALL = "random:table-net"


@parametrize_with_checks([SourceFeatures(SMALL), TransferClassifier(SMALL), TransferRegressor(SMALL)])
def test_scikit_learn_accepts_it(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
