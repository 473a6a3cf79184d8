"""What a random split claims, on features that know their specimen better than their category."""

import numpy as np

from napari_semclass.learn.random_split import random_split_claim


def specimens(groups_per_category, per_group=30, leak=3.0):
    """Features of tiles: a weak mark of the category, a strong one of the specimen."""
    random = np.random.default_rng(0)
    owners = [label for label, count in enumerate(groups_per_category) for _ in range(count)]
    marks = random.normal(0, leak, (len(owners), 24))
    groups = np.repeat(np.arange(len(owners)), per_group)
    labels = np.array(owners)[groups]
    features = marks[groups] + np.eye(24)[labels] + random.normal(0, 0.5, (len(groups), 24))
    return features.astype(np.float32), labels, groups


def test_a_random_split_claims_more_than_groups_kept_apart():
    found = random_split_claim(*specimens([4, 4, 5]), ("a", "b", "c"), "tile")
    assert found.random.accuracy > 0.98
    assert found.grouped.accuracy < 0.7
    assert found.grouped.macro_f1 < found.random.macro_f1
    assert (found.folds, found.n, found.groups) == (4, 390, 13)
    assert f"{100 * found.grouped.accuracy:.1f} %" in found.sentence()


def test_where_specimens_leave_no_mark_both_agree():
    features, labels, groups = specimens([5, 5], leak=0.0)
    found = random_split_claim(features * 4, labels, groups, ("a", "b"), "tile")
    assert abs(found.random.accuracy - found.grouped.accuracy) < 0.05


def test_a_category_with_one_group_is_left_out_and_named():
    found = random_split_claim(*specimens([3, 1, 3]), ("a", "lonely", "c"), "image")
    assert found.left_out == ("lonely",)
    assert "lonely" in found.sentence()
    assert "pictures" in found.sentence()
    assert (found.groups, found.folds) == (6, 3)


def test_without_two_categories_of_two_groups_a_sentence_says_so():
    found = random_split_claim(*specimens([3, 1, 1]), ("a", "b", "c"), "tile")
    assert isinstance(found, str)
    assert "two groups" in found


def test_at_most_five_folds():
    assert random_split_claim(*specimens([9, 8], per_group=4), ("a", "b"), "tile").folds == 5
