"""Sample data for napari's File menu: generated micrographs, a mosaic, and downloaded NFFA-EUROPE examples."""

import threading
from collections.abc import Generator
from functools import partial
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QMessageBox, QProgressDialog
from superqt.utils import ensure_main_thread

from napari_semclass.downloads import Download
from napari_semclass.micrograph import open_micrographs
from napari_semclass.samples import CATEGORIES, nffa_examples, synthetic_micrograph, synthetic_mosaic
from napari_semclass.viewer.jobs import Job

LayerData = tuple[Any, dict[str, Any], str]


def _one(category: str) -> list[LayerData]:
    pixels = synthetic_micrograph(category, data_bar=True)
    return [(pixels, {"name": f"synthetic {category}", "metadata": {"synthetic": True}}, "image")]


porous_sponge, patterned_surface, particles, films, powder, tips, nanowires, biological, mems, fibres = (
    partial(_one, category) for category in CATEGORIES
)


def mosaic() -> list[LayerData]:
    """A 4,096 x 4,096 px mosaic of several categories and its true map (label = category number + 1)."""
    pixels, truth = synthetic_mosaic()
    return [
        (pixels, {"name": "synthetic mosaic", "metadata": {"synthetic": True}}, "image"),
        (truth + 1, {"name": "true categories", "visible": False, "opacity": 0.4}, "labels"),
    ]


def nffa() -> list[LayerData]:
    """A few real micrographs of the NFFA-EUROPE set, downloaded after asking; nothing when that fails."""
    examples: list[LayerData] = []
    problems: list[str] = []
    dialog = QProgressDialog("Downloading NFFA-EUROPE examples…", "", 0, 0)
    dialog.setCancelButton(None)
    # The viewer stays alive while the archive arrives: the job works in a thread, this loop waits for its end.
    waiting = QEventLoop()
    job = Job(_fetch_examples)
    job.progressed.connect(examples.extend)
    job.failed.connect(problems.append)
    for ended in (job.finished, job.failed):
        ended.connect(lambda *_: waiting.quit())
    job.start()
    dialog.show()
    waiting.exec_()
    dialog.close()
    if problems:
        show_error(problems[0])
    return examples


def _fetch_examples(stop: threading.Event) -> Generator[list[LayerData], None, None]:
    yield [(open_micrographs(path)[0].pixels, {"name": name}, "image") for name, path in nffa_examples(_agreed)]


# The job asks from its thread; only the GUI thread may show a window. Ten minutes to answer.
@ensure_main_thread(await_return=True, timeout=600_000)  # type: ignore[untyped-decorator]
def _agreed(download: Download) -> bool:
    size = f"{download.size_bytes / 1e6:,.0f} MB" if download.size_bytes else "of unknown size"
    text = (
        f"Download {download.name} ({size}) from\n{download.url}?\n\nLicence: {download.licence}\n{download.credit}\n\n"
        "Its checksum is not known yet: what arrives now is recorded, and later downloads must match it."
    )
    answer = QMessageBox.question(None, "Download sample data", text)
    return bool(answer == QMessageBox.StandardButton.Yes)
