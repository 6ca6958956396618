"""Whole groups are resampled where the plan says so and the data have them."""

from types import SimpleNamespace

import numpy as np
import pytest

from xaibench.analysis.clusters import group_counts, groups_of, numbers_of
from xaibench.errors import UsageError
from xaibench.plan.schema import dump, read_plan
from xaibench.values import Sequences, Splits


def work(groups: tuple[str, ...] | None, *, clusters: bool = True, chosen=(0, 1, 2)):
    """A run on five test sequences of which some are explained."""
    codes = np.zeros((5, 7), np.uint8)
    labels = np.array([0, 1, 0, 1, 0])
    test = Sequences(codes, labels, tuple("abcde"), ("no", "yes"), groups)
    return SimpleNamespace(
        plan=SimpleNamespace(clusters=clusters),
        splits=Splits(train=test, test=test),
        chosen=test.take(np.array(chosen)),
    )


GROUPS = ("chr1", "chr2", "chr1", "chr3", "chr3")


def test_every_test_sequence_has_its_group() -> None:
    asked = work(GROUPS)
    assert groups_of(asked) == dict(zip("abcde", GROUPS, strict=True))
    assert group_counts(asked) == {"explained": 2, "test": 3}


def test_sequences_are_resampled_where_the_plan_does_not_ask_for_groups() -> None:
    asked = work(GROUPS, clusters=False)
    assert (groups_of(asked), group_counts(asked)) == (None, {})
    assert groups_of(work(None, clusters=False)) is None


def test_data_without_groups_have_none_to_resample() -> None:
    with pytest.raises(UsageError, match=r"clusters: expected data with groups .*got data without"):
        groups_of(work(None))


def test_one_group_cannot_be_resampled() -> None:
    with pytest.raises(UsageError, match=r"expected two groups .* all 2 explained .* of 'chr3'"):
        groups_of(work(GROUPS, chosen=(3, 4)))


def test_the_plan_names_the_groups_and_the_reference() -> None:
    plan = read_plan("demo", changes=("clusters=true", "reference=saliency"))
    assert (plan.clusters, plan.reference) == (True, "saliency")
    assert "clusters: true" in dump(plan)
    assert "reference: saliency" in dump(plan)


def test_a_reference_must_be_a_method_of_the_plan() -> None:
    wanted = r"reference: expected a label of attribution; did you mean 'saliency'\?"
    with pytest.raises(UsageError, match=wanted):
        read_plan("demo", changes=("reference=salency",))


def test_explained_sequences_of_one_group_have_one_number() -> None:
    asked = work(GROUPS, chosen=(1, 4, 0, 3))
    assert numbers_of(asked, 4).tolist() == [1, 2, 0, 2]
    assert numbers_of(asked, 2).tolist() == [0, 1]
    assert numbers_of(work(GROUPS, clusters=False), 2) is None
