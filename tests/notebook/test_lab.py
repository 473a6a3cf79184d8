"""The widget in a real JupyterLab and Notebook 7, as somebody with a mouse and a keyboard meets it."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

nbformat = pytest.importorskip("nbformat", reason="the browser test needs JupyterLab (extra `test`)")

SETUP = """\
from napari_semclass.notebook import SemClassifier
w = SemClassifier({picture!r}, {model!r}, ["dark", "<b>bright</b>"], height=300)
w"""
EVIL = "<b>bright</b>"


def write_notebook(path: Path, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, path)


def lab_command(page, name, **values):
    page.evaluate("([name, values]) => { window.jupyterapp.commands.execute(name, values) }", [name, values])


@pytest.fixture
def stripes(lab, three_bands, tiny_model, models):
    """The name of a notebook that shows the widget on dark, grey and bright stripes."""
    Image.fromarray(three_bands).save(lab.folder / "stripes.png")
    write_notebook(
        lab.folder / "try.ipynb", SETUP.format(picture="stripes.png", model=str(models / "tiny.safetensors"))
    )
    return "try.ipynb"


@pytest.fixture
def empty_page(browser, patience):
    """A page of the browser, and what begins to watch its console: it must not complain of anything."""
    page = browser.new_page(viewport={"width": 1200, "height": 850})
    page.set_default_timeout(1000 * patience)
    problems = []
    yield page, lambda: page.on("pageerror", lambda error: problems.append(str(error)))
    assert not problems
    page.close()


@pytest.fixture
def page(empty_page, lab, stripes):
    """JupyterLab with the widget."""
    page, watch_errors = empty_page
    watch_errors()
    page.goto(lab.address(stripes))
    page.get_by_text("| Idle").wait_for()
    lab_command(page, "notebook:run-all-cells")
    page.locator(".semclass canvas").wait_for()
    lab_command(page, "application:toggle-left-area")
    return page


@pytest.fixture
def notebook_page(empty_page, lab, stripes, wait_until):
    """Notebook 7 with the widget, run by the keyboard."""
    pytest.importorskip("notebook", "7", reason="the test of Notebook 7 needs it (extra `test`)")
    page, watch_errors = empty_page
    page.goto(lab.notebook_address(stripes))
    page.locator("[title='Kernel status: Idle'], .jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    watch_errors()  # Notebook 7.6 has one of its own while it starts
    prompt = page.locator(".jp-Notebook .jp-Cell .jp-InputPrompt").first

    def is_run() -> bool:
        """Press the keys, which a notebook that is still being built does not hear, and look whether the cell runs."""
        page.locator(".jp-Notebook .jp-Cell").first.click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(1000)
        return prompt.inner_text().strip() not in ("", "[ ]:", "[]:")

    wait_until(is_run)
    page.locator(".semclass canvas").wait_for()
    return page


def says(page, where, text):
    page.locator(where).filter(has_text=text).wait_for()


def picture(page) -> np.ndarray:
    """The canvas as it looks now, (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(page.locator(".semclass canvas").screenshot())).convert("RGB")).astype(int)


def coloured(page) -> int:
    """Pixels that are not grey."""
    return int((np.ptp(picture(page), axis=-1) > 12).sum())


def at(page, x, y):
    """Position on the page of a pixel of the micrograph, which is 160 x 96 and all in view."""
    box = page.locator(".semclass canvas").bounding_box()
    scale = min(box["width"] / 160, box["height"] / 96)
    left, top = box["x"] + (box["width"] - 160 * scale) / 2, box["y"] + (box["height"] - 96 * scale) / 2
    return left + x * scale, top + y * scale


def keep(page, name):
    """A screenshot for people to look at, where SEMCLASS_SCREENSHOTS names a folder for them."""
    if folder := os.environ.get("SEMCLASS_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_classify_mark_learn_undo_and_show_in_light_and_dark(page, wait_until):
    page.wait_for_function("document.querySelector('.semclass canvas').width > 300")
    page.get_by_role("button", name="Classify").click()
    says(page, ".sc-status", "dark 40 %")
    wait_until(lambda: coloured(page) > 10_000)
    keep(page, "classified")

    # The pointer says what is there; keys mark it, and neither adds cells nor restarts the kernel.
    page.mouse.move(*at(page, 16, 16))
    says(page, ".sc-readout", "dark (dark")
    page.mouse.click(*at(page, 16, 16))
    page.keyboard.press("1")
    says(page, ".sc-summary", "Marked tiles: dark 1.")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("1")
    says(page, ".sc-summary", "dark 2.")
    says(page, ".sc-readout", "marked dark")

    # A name with tags in it is text. Dragging marks each tile on the way, as one step.
    page.get_by_role("radio", name=EVIL).check()
    assert page.locator(".semclass b").count() == 0
    before = picture(page)
    page.mouse.move(*at(page, 112, 80))
    page.mouse.down()
    page.mouse.move(*at(page, 150, 80), steps=4)
    page.mouse.up()
    says(page, ".sc-summary", f"Marked tiles: dark 2, {EVIL} 2.")
    says(page, ".sc-note", "Learned in")
    says(page, ".semclass [aria-label^=Legend]", EVIL)
    assert "grey" not in page.locator(".semclass [aria-label^=Legend]").inner_text()
    wait_until(lambda: np.abs(picture(page) - before).mean() > 1)
    keep(page, "learned-light")

    page.locator(".semclass canvas").focus()
    page.keyboard.press("Control+z")
    says(page, ".sc-summary", "Marked tiles: dark 2.")
    page.keyboard.press("Control+Shift+Z")
    says(page, ".sc-summary", f"dark 2, {EVIL} 2.")

    # The legend takes a category off the picture; without any, it is grey but for the marks.
    shown = coloured(page)
    page.get_by_role("checkbox", name="dark").uncheck()
    wait_until(lambda: coloured(page) < shown)

    lab_command(page, "apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    assert least_contrast(page) >= 4.5
    keep(page, "learned-dark")
    lab_command(page, "apputils:change-theme", theme="JupyterLab Light")
    page.wait_for_function("document.body.dataset.jpThemeLight === 'true'")
    assert least_contrast(page) >= 4.5
    page.get_by_role("button", name="Show all").focus()
    page.keyboard.press("b")  # a new cell, if it were the notebook's
    page.keyboard.press("Enter")
    assert page.locator(".jp-Notebook .jp-Cell").count() == 1


def test_in_notebook_7_keys_mark_and_leave_the_cell_alone(notebook_page, wait_until):
    page = notebook_page
    page.wait_for_function("document.querySelector('.semclass canvas').width > 300")
    page.get_by_role("button", name="Classify").click()
    says(page, ".sc-status", "dark 40 %")
    wait_until(lambda: coloured(page) > 10_000)
    page.mouse.click(*at(page, 16, 16))
    page.keyboard.press("1")
    says(page, ".sc-summary", "Marked tiles: dark 1.")
    # Each of these would otherwise be the notebook's: other cells, a cell of text, a new cell, a cell cut out.
    page.keyboard.press("ArrowRight")
    says(page, ".sc-readout", "Tile at x 32, y 0")
    page.keyboard.press("ArrowDown")
    says(page, ".sc-readout", "Tile at x 32, y 32")
    for key in "mbax":
        page.keyboard.press(key)
    page.get_by_role("button", name="Show all").focus()
    for key in "mbx":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.locator(".semclass canvas").focus()
    page.keyboard.press("2")
    says(page, ".sc-summary", f"Marked tiles: dark 1, {EVIL} 1.")
    says(page, ".sc-note", "Learned in")
    assert page.locator(".jp-Notebook .jp-Cell").count() == 1
    assert page.locator(".jp-Notebook .jp-CodeCell .semclass canvas").count() == 1
    assert least_contrast(page) >= 4.5
    keep(page, "notebook-7")


def least_contrast(page) -> float:
    """The smallest contrast (WCAG 2) of any text of the widget to what is behind it."""
    return page.evaluate(
        """async () => {
          // A theme fades in; what never ends, as a spinner, is not waited for.
          for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
          const fading = document.getAnimations().filter((one) => isFinite(one.effect.getComputedTiming().endTime));
          await Promise.allSettled(fading.map((one) => one.finished));
          const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const layered = (colors) => {
            context.fillStyle = "#fff";
            context.fillRect(0, 0, 1, 1);
            for (const color of colors) {
              context.fillStyle = color;
              context.fillRect(0, 0, 1, 1);
            }
            const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((value) => {
              const share = value / 255;
              return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          let least = Infinity;
          for (const node of document.querySelectorAll(".semclass *")) {
            const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
            if (!own || node.disabled || !node.offsetParent) continue;
            const behind = [];
            for (let up = node; up; up = up.parentElement) behind.unshift(getComputedStyle(up).backgroundColor);
            const [one, other] = [layered(behind), layered([...behind, getComputedStyle(node).color])];
            least = Math.min(least, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
          }
          return least;
        }"""
    )
