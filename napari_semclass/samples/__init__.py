"""Pictures to try things on: synthetic micrographs and mosaics, and real examples to download."""

from napari_semclass.samples.mosaic import synthetic_mosaic
from napari_semclass.samples.nffa import nffa_examples
from napari_semclass.samples.synthetic import CATEGORIES, synthetic_micrograph

__all__ = ["CATEGORIES", "nffa_examples", "synthetic_micrograph", "synthetic_mosaic"]
