"""The output folder of a batch: which files hold the results of an input, written and removed together."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from napari_semclass.classify.inputs import OVERLAY_SUFFIX
from napari_semclass.classify.overlay import write_overlay
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.record import Entry
from napari_semclass.classify.tables import write_geojson, write_tiles_csv
from napari_semclass.errors import MicrographError, OutputError, brief
from napari_semclass.micrograph import Micrograph

TABLE_SUFFIX, SHAPES_SUFFIX = ".tiles.csv", ".geojson"
_ALL = (OVERLAY_SUFFIX, TABLE_SUFFIX, SHAPES_SUFFIX)


@dataclass(frozen=True)
class Results:
    """Results in the folder `out`: an overlay for each plane and, in tiles mode, a table and shapes."""

    out: Path
    whole: bool

    def present(self, entry: Entry) -> list[Path]:
        """Files that are there under an input's name, whatever they were made with."""
        return [path for path in self._paths(entry, _ALL) if _exists(path)]

    def complete(self, entry: Entry) -> bool:
        """Whether all results of an input are there."""
        return all(_exists(path) for path in self._paths(entry, (OVERLAY_SUFFIX,) if self.whole else _ALL))

    def remove(self, entry: Entry) -> None:
        """Remove an input's results.

        Raises
        ------
        OutputError
            When that is not allowed.
        """
        for path in self.present(entry):
            try:
                path.unlink()
            except OSError as error:
                raise OutputError(f"{path}: cannot be replaced ({error.strerror or brief(error)}).") from error

    def write(self, prediction: Prediction, micrograph: Micrograph, stem: str) -> None:
        """Write the results of one plane.

        Raises
        ------
        OutputError
            When the folder cannot be written to.
        MicrographError
            When pixels cannot be read, or the micrograph's name is too long to be made longer.
        """
        try:
            if not self.whole:
                write_tiles_csv(prediction, self.out / f"{stem}{TABLE_SUFFIX}")
                write_geojson(prediction, self.out / f"{stem}{SHAPES_SUFFIX}")
            write_overlay(prediction, micrograph, self.out / f"{stem}{OVERLAY_SUFFIX}")
        except OutputError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENAMETOOLONG:
                text = f"{micrograph.name}: its name is too long for its outputs' names; shorten it."
                raise MicrographError(text) from error
            raise

    def _paths(self, entry: Entry, suffixes: tuple[str, ...]) -> list[Path]:
        """Files of each plane found, or of the input itself where it has not been classified."""
        planes = [row.file.removeprefix(entry.file) for row in entry.rows if not row.error] or [""]
        return [self.out / f"{entry.stem}{plane}{suffix}" for plane in planes for suffix in suffixes]


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises for names too long for the disk
