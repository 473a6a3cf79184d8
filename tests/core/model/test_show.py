"""What a card looks like to its reader."""

from dataclasses import replace

from napari_semclass.model.show import card_html


def test_the_card_says_which_scale_the_model_knows(tiny_card):
    assert "µm" not in card_html(tiny_card)
    assert " nm " not in card_html(tiny_card)
    shown = card_html(replace(tiny_card, tile_um=2.5, pixel_size_range=(5e-9, 1.25e-7)))
    assert "2.5 µm wide" in shown
    assert "Trained at 5 to 125 nm per pixel" in shown


def test_what_a_card_says_is_text_and_never_markup(tiny_card):
    shown = card_html(replace(tiny_card, title="<script>1</script>", credit="<img src=x>"))
    assert "<script" not in shown
    assert "<img" not in shown
