"""What the shipped model says of generated micrographs, kept in tests/data/golden.json: `python tools/golden.py`.

To be run only when the model or its preprocessing changes on purpose; tests/core/test_right_answers.py compares.
"""

import json
from pathlib import Path
from typing import Any

from napari_semclass import Prediction, Settings, as_micrographs, classify_micrograph, load_model
from napari_semclass.samples import CATEGORIES, synthetic_micrograph, synthetic_mosaic

GOLDEN = Path(__file__).parents[1] / "tests" / "data" / "golden.json"


def predictions(**settings: Any) -> dict[str, Prediction]:
    """The starter's answers for a picture of each category with a data bar, whole, and for a mosaic, tile by tile."""
    model = load_model("starter")
    whole = Settings(mode="whole", device="cpu", precision="fp32", **settings)
    tiles = Settings(device="cpu", precision="fp32", **settings)
    found = {}
    for category in CATEGORIES:
        (micrograph,) = as_micrographs(synthetic_micrograph(category, (480, 640), data_bar=True), source=category)
        found[category] = classify_micrograph(micrograph, model, whole)
    (mosaic,) = as_micrographs(synthetic_mosaic((640, 960), categories=CATEGORIES[:4])[0], source="mosaic")
    found["mosaic"] = classify_micrograph(mosaic, model, tiles)
    return found


def main() -> None:
    """Write the file."""
    model = load_model("starter")
    kept = {name: prediction.probabilities.round(5).tolist() for name, prediction in predictions().items()}
    lines = [f"  {json.dumps(name)}: {json.dumps(rows)}" for name, rows in kept.items()]
    words = f'{{\n"model": "{model.sha256}",\n"probabilities": {{\n' + ",\n".join(lines) + "\n}}\n"
    GOLDEN.write_text(words, encoding="utf-8")


if __name__ == "__main__":
    main()
