"""Our PNG files are read by others, pixel for pixel."""

import numpy as np
import pytest
from PIL import Image

from napari_semclass.classify.png import write_png


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (131, 77), (64, 5), (700, 500)])
@pytest.mark.parametrize("most", [2, 256])
def test_pictures_come_back_as_they_were(tmp_path, shape, most):
    picture = np.random.default_rng(0).integers(0, most, (*shape, 3), dtype=np.uint8)
    write_png(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as found:
        found.verify()
    with Image.open(tmp_path / "a.png") as found:
        assert (found.format, found.mode) == ("PNG", "RGB")
        np.testing.assert_array_equal(np.asarray(found), picture)
