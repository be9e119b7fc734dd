"""How far two data sets lie apart. A distance alone never shows that they are alike: see `null`."""

from collections.abc import Mapping

from headstart.selection.distance import c2st, mmd, otdd
from headstart.selection.distance.sample import Distance

DISTANCES: Mapping[str, Distance] = {
    "c2st": c2st.accuracy,
    "mmd": mmd.squared,
    "otdd": otdd.cost,  # the only one that looks at labels
}
"""Plain numbers, no p-values: what `null.calibrate` takes. The modules have the tests and the records."""
