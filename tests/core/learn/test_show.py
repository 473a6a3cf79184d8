"""Plans and figures as text and HTML."""

import numpy as np

from napari_semclass.learn.measure import measure
from napari_semclass.learn.plan import read_plan

EVIL = "<script>alert('x')</script>"


def test_a_plan_shows_its_stages_and_all_settings():
    page = read_plan("progressive")._repr_html_()
    assert "128 px" in page
    assert "224 px" in page
    assert "augmentation" in page or "dihedral" in page
    assert "No stages" in read_plan("quick")._repr_html_()


def test_figures_show_each_category_with_intervals_and_escaped_names():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    logits = random.normal(0, 1, (40, 2)) + 2 * np.eye(2)[labels]
    groups = np.arange(40) // 4
    found = measure(logits, labels, groups, groups, (EVIL, "pores"), unit="tile", temperature=1.0)
    assert repr(found).startswith("<Metrics: 40 tiles of 10 groups, accuracy 0.")
    page = found._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "95 % intervals over 10 groups" in page
    assert found.plot()._repr_png_().startswith(b"\x89PNG")
