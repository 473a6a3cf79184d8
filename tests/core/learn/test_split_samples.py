"""Splitting samples: groups stay whole, nothing is lost, and what cannot be kept apart is cut in space and said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_semclass.errors import SettingsError
from napari_semclass.learn.split import fold_samples, split_by_parts, split_samples

NAMES = ("Fibres", "Powder", "Tips", "Films")


def grid(rows, columns, tile=10, stride=None):
    """Boxes of a grid of tiles, (rows x columns, 4)."""
    stride = stride or tile
    return [(r * stride, c * stride, r * stride + tile, c * stride + tile) for r in range(rows) for c in range(columns)]


def samples_of(pictures):
    """Arrays of samples from (label, group, boxes) per picture."""
    rows = [(label, group, file, *box) for file, (label, group, boxes) in enumerate(pictures) for box in boxes]
    table = np.array(rows, dtype=np.int64)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3:]


def split(pictures, share=0.2, seed=0):
    return split_samples(*samples_of(pictures), share, seed, categories=NAMES)


@st.composite
def data_sets(draw):
    """Pictures of up to four categories in up to eight groups, which may hold several categories, as grids of tiles."""
    count = draw(st.integers(1, 14))
    return [
        (
            draw(st.integers(0, 3)),
            draw(st.integers(0, 7)),
            grid(draw(st.integers(1, 5)), draw(st.integers(1, 5)), 10, draw(st.sampled_from([5, 10]))),
        )
        for _ in range(count)
    ]


def overlap(first, second):
    return (first[:2] < second[2:]).all() and (second[:2] < first[2:]).all()


@settings(max_examples=150, deadline=None)
@given(data_sets(), st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 3))
def test_whatever_the_data_nothing_is_lost_and_no_pixel_is_on_both_sides(pictures, share, seed):
    labels, groups, files, boxes = samples_of(pictures)
    held = split_samples(labels, groups, files, boxes, share, seed, categories=NAMES)
    everything = np.concatenate([held.train, held.valid, held.dropped])
    assert sorted(everything.tolist()) == list(range(len(labels)))
    assert set(labels[held.train]) == set(labels), "every category has something to learn from"
    shared = set(groups[held.train]) & set(groups[held.valid])
    for index in held.valid:
        if groups[index] in shared:
            assert NAMES[labels[index]] in held.optimistic
            beside = held.train[files[held.train] == files[index]]
            assert not any(overlap(boxes[index], boxes[other]) for other in beside)
    for name in held.optimistic:
        assert any(note.startswith(f"{name} has") for note in held.notes)
    unmeasured = {NAMES[label] for label in set(labels) - set(labels[held.valid])}
    assert unmeasured == {note.split()[0] for note in held.notes if "score is unknown" in note}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 30), min_size=2, max_size=8), min_size=2, max_size=4),
    st.sampled_from([0.1, 0.2, 0.3]),
)
def test_groups_stay_whole_where_every_category_has_two(sizes, share):
    groups_of = [(label, size) for label, groups in enumerate(sizes) for size in groups]
    held = split([(label, group, grid(1, size)) for group, (label, size) in enumerate(groups_of)], share)
    labels, groups, *_ = samples_of([(label, group, grid(1, size)) for group, (label, size) in enumerate(groups_of)])
    assert not set(groups[held.train]) & set(groups[held.valid])
    assert set(labels[held.valid]) == set(labels[held.train]) == set(labels)
    assert not held.dropped.size
    assert held.notes == held.optimistic == ()


def test_every_category_gives_about_its_share():
    pictures = [(label, 100 * label + group, grid(2, 3)) for label in range(4) for group in range(5 + 10 * label)]
    held = split(pictures)
    labels = samples_of(pictures)[0]
    shares = np.bincount(labels[held.valid]) / np.bincount(labels)
    assert shares == pytest.approx(0.2, abs=0.04)


def test_the_seed_decides():
    pictures = [(label, 100 * label + group, grid(2, 3)) for label in range(3) for group in range(20)]
    first, same, other = split(pictures), split(pictures), split(pictures, seed=1)
    assert np.array_equal(first.valid, same.valid)
    assert not np.array_equal(first.valid, other.valid)


def test_a_category_with_one_group_is_validated_below_what_it_is_learned_from():
    pictures = [(0, 0, grid(5, 3)), (0, 1, grid(5, 3)), (1, 2, grid(10, 3))]
    labels, _, _, boxes = samples_of(pictures)
    held = split(pictures)
    powder = held.valid[labels[held.valid] == 1]
    assert len(powder) == 6
    assert boxes[powder, 0].min() >= boxes[held.train[labels[held.train] == 1], 2].max()
    assert held.optimistic == ("Powder",)
    assert held.notes == (
        "Powder has one group; its validation tiles (6 of 30) are the lower part of the same pictures, "
        "so its score is optimistic.",
    )


def test_what_surrounds_a_tile_that_is_learned_from_is_not_held_out():
    pictures = [(0, 0, grid(5, 3)), (0, 1, grid(5, 3)), (1, 2, grid(10, 3))]
    labels, _, _, boxes = samples_of(pictures)
    held = split_samples(*samples_of(pictures), 0.2, 0, categories=NAMES, reach=1.0)
    learned, powder = (boxes[part[labels[part] == 1]] for part in (held.train, held.valid))
    assert len(powder)
    assert powder[:, 0].min() >= learned[:, 2].max() + 10
    # Where there is no room for that, it is said.
    (note,) = split_samples(*samples_of([*pictures[:2], (1, 2, grid(2, 1))]), 0.2, 0, categories=NAMES, reach=1.0).notes
    assert "of which some lie in surroundings that are learned from" in note


def test_wide_pictures_are_cut_on_the_right_and_tiles_across_the_cut_are_dropped():
    pictures = [(0, 0, grid(3, 3)), (0, 1, grid(3, 3)), (1, 2, grid(2, 11, tile=10, stride=5))]
    labels, _, _, boxes = samples_of(pictures)
    held = split(pictures)
    powder = labels == 1
    assert set(labels[held.dropped]) == {1}
    assert boxes[held.valid][labels[held.valid] == 1, 1].min() >= boxes[held.train][labels[held.train] == 1, 3].max()
    assert len(held.train) + len(held.valid) + len(held.dropped) == len(powder)
    assert "right part" in held.notes[0]


def test_pictures_of_one_sample_are_held_out_whole():
    held = split([(0, 0, grid(1, 1)), (0, 1, grid(1, 1)), *[(1, 2, grid(1, 1))] * 10])
    assert len(held.valid) == 3
    assert "(2 of 10) are other pictures of the same group" in held.notes[0]


def test_a_single_sample_stays_in_training_and_its_score_is_said_to_be_unknown():
    held = split([(0, 0, grid(1, 1)), (0, 1, grid(1, 1)), (2, 2, grid(1, 1))])
    assert 2 in held.train
    assert held.notes == ("Tips has one group and cannot be divided; nothing validates it, so its score is unknown.",)


def test_other_categories_beyond_the_cut_are_not_learned_from():
    """Tiles marked in one micrograph: what lies between validation tiles would show the network their pixels."""
    marked = grid(10, 2)
    pictures = [(0, 0, grid(2, 2)), (0, 1, grid(2, 2))]
    labels, groups, files, boxes = samples_of([*pictures, (1, 2, marked)])
    fibres = np.arange(len(labels)) % 2 == 0
    labels[(files == 2) & fibres] = 0
    held = split_samples(labels, groups, files, boxes, 0.2, 0, categories=NAMES)
    assert set(labels[held.dropped]) == {0}
    assert boxes[held.train[files[held.train] == 2], 2].max() <= boxes[held.valid[files[held.valid] == 2], 0].min()


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(SettingsError, match="between 0 and 1"):
        split([(0, 0, grid(2, 2))], share)


def test_twenty_thousand_groups_are_split_in_seconds():
    labels = np.random.default_rng(0).choice(4, 20_000, p=[0.9, 0.07, 0.02, 0.01])
    everything = np.arange(20_000)
    held = split_samples(
        labels, everything, everything, np.zeros((20_000, 4), dtype=np.int64), 0.2, 0, categories=NAMES
    )
    assert np.bincount(labels[held.valid]) / np.bincount(labels) == pytest.approx(0.2, abs=0.01)


def test_parts_are_kept_and_what_shares_a_group_with_validation_is_not_learned_from():
    held = split_by_parts(["train", "train", "train", "valid", "valid"], np.array([0, 1, 1, 1, 2]))
    assert held.train.tolist() == [0]
    assert held.valid.tolist() == [3, 4]
    assert held.dropped.tolist() == [1, 2]
    assert held.notes == (
        "2 training tiles are left out, as their groups, copies or near-duplicates are in the validation part.",
    )
    assert split_by_parts(["train", "valid"], np.array([0, 1])).notes == ()


def test_parts_without_anything_to_learn_from_are_refused():
    with pytest.raises(SettingsError) as nothing_left:
        split_by_parts(["train", "valid"], np.array([0, 0]))
    assert str(nothing_left.value) == (
        "nothing is left to learn from: every group of the training part is in the validation part as well."
    )
    with pytest.raises(SettingsError) as nothing_held:
        split_by_parts(["train", "train"], np.array([0, 1]))
    assert str(nothing_held.value) == "the data set's part for validation holds nothing that can be used."


def test_folds_keep_groups_whole():
    groups = np.repeat(np.arange(12), 5)
    folds = fold_samples(groups % 3, groups, 4, seed=0)
    assert set(folds.tolist()) == {0, 1, 2, 3}
    assert all(len(set(folds[groups == group])) == 1 for group in range(12))


@pytest.mark.parametrize("folds", [2, 3])
def test_there_can_be_two_folds_and_as_many_as_groups(folds):
    groups = np.repeat(np.arange(3), 4)
    numbers = fold_samples(np.arange(12) % 2, groups, folds, seed=0)
    assert sorted(set(numbers.tolist())) == list(range(folds))


def test_folds_that_no_category_can_fill_are_refused():
    with pytest.raises(SettingsError, match=r"^4 folds were asked for, but every category has fewer samples than that"):
        fold_samples(np.arange(8) % 4, np.arange(8), 4, seed=0)


def test_more_folds_than_groups_are_refused():
    with pytest.raises(SettingsError, match="3 groups"):
        fold_samples(np.arange(6) % 2, np.arange(6) % 3, 5, seed=0)


def uneven():
    """Pictures of three categories in 15 groups of uneven sizes, two of which hold two; a fourth has one group."""
    sizes = ((0, 4, 3), (0, 5, 7), (0, 8, 7), (0, 9, 4), (0, 3, 2), (1, 2, 7), (1, 7, 7), (1, 11, 3), (1, 14, 5))
    more = ((1, 9, 4), (2, 0, 6), (2, 1, 8), (2, 3, 2), (2, 6, 1), (2, 10, 3), (2, 12, 3), (2, 13, 4))
    films = [(3, 20, grid(3, 8)), (3, 20, grid(7, 2))]
    return [*((label, group, grid(1, size)) for label, group, size in sizes + more), *films]


@pytest.mark.parametrize(
    ("share", "seed", "groups", "of_films"),
    [
        (0.2, 0, [3, 4, 10, 14], [6, 7, 14, 15, 22, 23, 36, 37]),
        (0.2, 1, [3, 4, 12, 14], [6, 7, 14, 15, 22, 23, 36, 37]),
        (0.5, 3, [0, 5, 9, 10, 11, 13, 14], [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, *range(30, 38)]),
    ],
)
def test_a_plan_holds_out_what_it_did_in_earlier_versions(share, seed, groups, of_films):
    """Else models from before and after an update would be compared on different pictures."""
    pictures = uneven()
    labels, group, *_ = samples_of(pictures)
    held = split(pictures, share, seed)
    films = np.flatnonzero(labels == 3)
    assert np.unique(group[np.setdiff1d(held.valid, films)]).tolist() == groups
    assert np.flatnonzero(np.isin(films, held.valid)).tolist() == of_films
    assert not held.dropped.size
    assert held.notes == (
        f"Films has one group; its validation tiles ({len(of_films)} of 38) are the lower or right part of the same "
        "pictures, so its score is optimistic.",
    )
