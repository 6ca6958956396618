"""Panels of what was measured are those of its table."""

import numpy as np

from xaibench.analysis.panels import measured_panels, panels_of_frame
from xaibench.evaluation.records import RecordGroup, frame

NAMES = ("row 2", "row 10", "row 1", "row 0")


def group(values, seed=5, names=NAMES, **where):
    known = {"model": "cnn", "method": "saliency", "metric": "deletion", "operator": "n", **where}
    return RecordGroup(seed=seed, sequences=names, values=np.array(values), **known)


GROUPS = [
    *(group([0.1, np.nan, -0.0, 1 / 3], repeat=repeat, method="random") for repeat in range(3)),
    group([0.3, 0.7, 0.1, 0.2], repeat=3, method="random"),
    group([1e16, 1.0, -1e16, 3.0]),
    group([2.0, 5.0], seed=3, names=NAMES[1:3]),
    RecordGroup("cnn", 4, "saliency", "", "deletion", "n", status="failed", reason="odd"),
    RecordGroup("cnn", 7, "saliency", "", "deletion", "n", status="failed", reason="odd"),
    group([7.0], seed=4, names=("row 3",), metric="accuracy", method="", operator=""),
]


def test_panels_of_what_was_measured_are_those_of_the_table_of_records():
    measured, table = measured_panels(GROUPS, "own"), panels_of_frame(frame(GROUPS, "own"))
    assert measured.sequences == table.sequences == ["", *sorted([*NAMES, "row 3"])]
    np.testing.assert_array_equal(measured.seeds, table.seeds)
    assert [*measured.panels] == [*table.panels]
    for cell, panel in measured.panels.items():
        expected = table.panels[cell]
        assert panel.reason == expected.reason
        for name in ("values", "seeds", "sequences"):
            np.testing.assert_array_equal(
                getattr(panel, name), getattr(expected, name), strict=True
            )


def test_repeats_are_averaged_and_what_is_undefined_stays_so():
    (panel, *_) = measured_panels(GROUPS, "own").panels.values()
    expected = [[1 / 3 + 0.2, 0.025, np.nan, 0.6 / 4]]  # in the order of the names
    expected[0][0] = (3 * (1 / 3) + 0.2) / 4
    np.testing.assert_allclose(panel.values, expected)
