"""Editing categories: numbers stay, names, keys and colours never clash, mistakes are said."""

import pytest

from napari_semclass.annotate import Categories, MarkCategory
from napari_semclass.annotate.categories import PALETTE
from napari_semclass.errors import SettingsError


def three():
    return Categories().add("Pores").add("Fibres").add("Matrix")


def test_new_categories_get_numbers_keys_and_colours_of_their_own():
    items = three().items
    assert [item.number for item in items] == [1, 2, 3]
    assert [item.key for item in items] == [1, 2, 3]
    assert len({item.color for item in items}) == 3


def test_keys_run_out_after_nine_and_colours_repeat_after_the_palette():
    many = Categories()
    for _ in range(len(PALETTE) + 1):
        many = many.add()
    assert [item.key for item in many.items[:10]] == [*range(1, 10), None]
    assert len({item.color for item in many.items[:-1]}) == len(PALETTE)
    assert many.items[-1].color in PALETTE
    assert len({item.name for item in many.items}) == len(many.items)


def test_the_number_of_a_removed_category_is_reused_only_when_no_mark_carries_it():
    left = three().remove(2)
    assert left.add("Grain").by_name("grain").number == 2
    assert left.add("Grain", avoid={2}).by_name("grain").number == 4
    assert left.add("Grain").by_name("grain").key == 2


def test_a_category_is_renamed_and_recoloured_without_changing_its_number():
    changed = three().rename(2, "  Whiskers ").recolour(2, "#ABCDEF")
    assert changed.by_number(2) == MarkCategory(2, "Whiskers", "#abcdef", 2)
    assert changed.rename(2, "WHISKERS").by_name("whiskers").name == "WHISKERS"


def test_a_key_changes_hands():
    changed = three().with_key(1, 3)
    assert (changed.by_key(3).name, changed.by_key(1).name) == ("Pores", "Matrix")
    assert changed.with_key(1, None).by_key(3) is None
    assert changed.with_key(1, 3) == changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.add("pores"), "two categories named"),
        (lambda c: c.rename(2, "PORES"), "two categories named"),
        (lambda c: c.rename(2, "  "), "needs a name"),
        (lambda c: c.rename(2, "x" * 201), "at most 200"),
        (lambda c: c.rename(2, "a\nb"), "one line"),
        (lambda c: c.recolour(2, "red"), "#rrggbb"),
        (lambda c: c.with_key(2, 0), "use 1 to 9"),
        (lambda c: c.remove(9), "no category number 9"),
        (lambda c: Categories((*c.items, MarkCategory(1, "Other", "#000000"))), "same number"),
        (lambda c: MarkCategory(256, "Other", "#000000"), "use 1 to 255"),
        (lambda c: c.add("Other", avoid=range(1, 256)), "255 categories already"),
    ],
)
def test_what_is_not_possible_is_said(change, said):
    with pytest.raises(SettingsError, match=said):
        change(three())
