"""Curves of a training run: loss, and how much is told right, over its epochs; drawn in the background."""

import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_semclass.learn.events import EpochDone
from napari_semclass.learn.run_watch import RunWatch
from napari_semclass.viewer.job_board import JobBoard

_PAUSE_MS = 1000
_HEIGHT = 190
_DPI = 100
# Okabe and Ito's, told apart by colour-blind eyes, and light and dark enough for either theme.
_LEARNED, _HELD_OUT, _F1 = "#56b4e9", "#e69f00", "#cc79a7"


@dataclass(frozen=True)
class Colors:
    """Of the theme, as `#rrggbb`."""

    background: str
    text: str
    line: str


@dataclass(frozen=True)
class Drawn:
    """What to draw: losses of batches as (epoch, loss), epochs in order, and how many the plan has."""

    points: tuple[tuple[float, float], ...]
    epochs: tuple[EpochDone, ...]
    total: int


def draw_curves(what: Drawn, width: int, height: int, ratio: float, colors: Colors) -> NDArray[np.uint8]:
    """The curves as RGBA (height * ratio, width * ratio, 4); width and height in the screen's logical pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI * ratio, facecolor=colors.background)
    canvas = FigureCanvasAgg(figure)
    tested = any(epoch.accuracy is not None for epoch in what.epochs)
    losses, *below = figure.subplots(2 if tested else 1, 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=42 / width, right=1 - 8 / width, bottom=30 / height, top=1 - 6 / height, hspace=0.12)
    numbers = [epoch.epoch for epoch in what.epochs]
    losses.plot(*_columns(what.points), color=_LEARNED, alpha=0.45, linewidth=0.8)
    losses.plot(numbers, [e.train_loss for e in what.epochs], color=_LEARNED, marker=".", label="learned")
    _held_out(losses, what.epochs, "valid_loss", _HELD_OUT, "held out")
    losses.set_ylabel("loss", fontsize=7, color=colors.text)
    losses.set_ylim(bottom=0)
    _dress(losses, "upper right", colors)
    for shares in below:
        _held_out(shares, what.epochs, "accuracy", _HELD_OUT, "accuracy")
        _held_out(shares, what.epochs, "macro_f1", _F1, "macro-F1")
        shares.set_ylabel("held out", fontsize=7, color=colors.text)
        shares.set_ylim(0, 1.02)
        _dress(shares, "lower right", colors)
    last = [losses, *below][-1]
    last.set_xlabel("epoch", fontsize=7, color=colors.text, labelpad=1)
    last.set_xlim(0, max(1, what.total))
    last.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def _held_out(axes: Any, epochs: Sequence[EpochDone], name: str, color: str, label: str) -> None:
    found = [(epoch.epoch, getattr(epoch, name)) for epoch in epochs if getattr(epoch, name) is not None]
    if found:
        axes.plot(*_columns(found), color=color, marker=".", label=label)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _dress(axes: Any, corner: str, colors: Colors) -> None:
    axes.set_facecolor(colors.background)
    axes.tick_params(labelsize=7, colors=colors.text, length=2, pad=2)
    axes.grid(color=colors.line, linewidth=0.5)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(colors.line)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc=corner, fontsize=7, labelcolor=colors.text, frameon=False, borderpad=0, handlelength=1.2)


def curves_job(
    what: Drawn, size: QSize, ratio: float, colors: Colors, stop: threading.Event
) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the curves as a picture."""
    yield draw_curves(what, size.width(), size.height(), ratio, colors)


class Curves(QLabel):
    """Shows the curves of a `RunWatch`; draws them at most once a second, and never in the GUI thread."""

    def __init__(self, board: JobBoard, colors: Colors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._board = board
        self._colors = colors
        self._watch: RunWatch | None = None
        self._stale = self._drawing = False
        self.setFixedHeight(_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._next)
        self.hide()

    def set_colors(self, colors: Colors) -> None:
        """Follow another theme."""
        self._colors = colors
        self._next(wanted=True)

    def show_watch(self, watch: RunWatch | None) -> None:
        """Draw what is known of a run, or nothing for None."""
        self._watch = watch
        self.setVisible(watch is not None and bool(watch.points or watch.epochs))
        if watch is not None and watch.epochs:
            self.setAccessibleDescription(watch.lines[-1])
        self._stale = True
        if not self._pause.isActive():
            self._next()

    def resizeEvent(self, event: object) -> None:
        """Draw again at another width."""
        super().resizeEvent(event)
        self._stale = True
        self._pause.start()

    def let_go(self) -> None:
        """Draw no more."""
        self._pause.stop()
        self._watch = None

    def _next(self, *, wanted: bool = False) -> None:
        watch = self._watch
        wanted = wanted or self._stale
        if watch is None or self._drawing or not wanted or self.isHidden() or self.width() < self.height():
            return
        self._stale, self._drawing = False, True
        self._pause.start()
        epochs = tuple(watch.epochs[number] for number in sorted(watch.epochs))
        what = Drawn(tuple(watch.points), epochs, watch.total)
        work = partial(curves_job, what, self.size(), self.devicePixelRatioF(), self._colors)
        self._board.start("train-curves", work, self._show, self._drawn)

    def _drawn(self, failure: str | None) -> None:
        self._drawing = False

    def _show(self, pixels: NDArray[np.uint8]) -> None:
        height, width = pixels.shape[:2]
        image = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()
        image.setDevicePixelRatio(self.devicePixelRatioF())
        self.setPixmap(QPixmap.fromImage(image))
