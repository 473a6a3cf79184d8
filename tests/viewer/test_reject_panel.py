"""Answer only when sure: the slider changes what is shown, at once."""

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication

from napari_semclass.model import save_model
from napari_semclass.viewer.layers import predictions_of, results
from napari_semclass.viewer.reject_panel import RejectPanel


@pytest.fixture
def wary_file(models, wary_model):
    """The wary model among the user's own."""
    save_model(
        wary_model.network,
        wary_model.card,
        models / "wary.safetensors",
        half=False,
        familiar=wary_model.familiar,
    )


def choose(dock, model):
    dock.inputs.models.setCurrentIndex(dock.inputs.models.findData(model))
    dock.inputs.models.activated.emit(dock.inputs.models.currentIndex())


def labels_of(viewer):
    return {int(label) for label in np.unique(results(viewer)[0].data)}


def test_it_blames_no_model_while_there_is_none(qtbot, tiny_card):
    panel = RejectPanel()
    qtbot.addWidget(panel)
    assert panel.cost.text() == ""
    assert not panel.sure.isEnabled()
    panel.set_card(tiny_card)
    assert "has not measured" in panel.cost.text()


def test_the_slider_changes_what_is_shown_and_computes_nothing(
    wary_file, dock, viewer, idle, qtbot, three_bands, monkeypatch
):
    choose(dock, "wary")
    tab = dock.classifying
    panel = tab.settings.reject
    assert panel.sure.isChecked()
    assert "% of tiles at" in panel.cost.text()
    stripes = np.indices(three_bands.shape).sum(axis=0) // 3 % 2 * 255
    viewer.add_image(stripes.astype(np.uint8), name="stripes")
    tab.run.classify.click()
    idle()
    assert labels_of(viewer) == {4}
    rows = [tab.results.legend.topLevelItem(row) for row in range(tab.results.legend.topLevelItemCount())]
    assert [row.text(2) for row in rows if row.text(0) == "unknown"] == ["100.0 %"]

    def fail(*_):
        raise AssertionError("it classified again")

    monkeypatch.setattr("napari_semclass.classify.engine.classification_steps", fail)
    panel.sure.click()
    qtbot.waitUntil(lambda: 4 not in labels_of(viewer))
    assert not panel.least.isEnabled()
    assert "unknown" not in tab.results.title.text()
    panel.sure.click()
    qtbot.waitUntil(lambda: labels_of(viewer) == {4})
    panel.least.setValue(panel.least.maximum())
    wanted = panel.value()
    qtbot.waitUntil(lambda: predictions_of(results(viewer)[0])[0].rejection.confidence == wanted)
    monkeypatch.undo()
    tab.run.classify.click()
    idle()
    tab.results.copy.menu().actions()[0].trigger()
    assert f"--reject {wanted}" in QGuiApplication.clipboard().text()


def test_a_model_that_measured_nothing_says_why_it_cannot(qtbot, tiny_card):
    panel = RejectPanel()
    qtbot.addWidget(panel)
    panel.set_card(tiny_card)
    assert not panel.sure.isEnabled()
    assert not panel.least.isEnabled()
    assert "not measured" in panel.cost.text()
    assert panel.cost.text() == panel.sure.toolTip() == panel.least.toolTip()
    assert panel.value() == "auto"


def test_another_model_takes_its_own_confidence_but_off_stays_off(qtbot, wary_model):
    panel = RejectPanel()
    qtbot.addWidget(panel)
    panel.set_card(wary_model.card)
    panel.least.setValue(2)
    assert panel.value() == wary_model.card.reliability[2].confidence
    panel.set_card(replace(wary_model.card, name="other"))
    assert panel.value() == "auto"
    panel.sure.click()
    panel.set_card(wary_model.card)
    assert panel.value() == "off"
