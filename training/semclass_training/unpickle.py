"""Opens a fastai export in this process, which any code in the file can take over, keeps its tensors, and ends.

Run by `convert.py` in a process of its own, and only when its user vouches for the file.
"""

import json
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from fastai.data.transforms import Normalize
from fastai.learner import load_learner
from safetensors.torch import save_file


class _Stub:
    """Stands in for functions of the script that made the export (labelling, mostly), which are not needed here."""

    def __init__(self, *args: Any, **keywords: Any) -> None: ...


class _Forgiving(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except AttributeError:
            if module != "__main__":
                raise
            return _Stub


def unpickle(source: Path, target: Path) -> None:
    """Write the tensors of an exported Learner, its categories and what it standardised with."""
    forgiving: Any = ModuleType("forgiving")
    forgiving.Unpickler, forgiving.load = _Forgiving, lambda file, **keywords: _Forgiving(file, **keywords).load()
    learner = load_learner(source, cpu=True, pickle_module=forgiving)
    known: dict[str, Any] = {"categories": [str(name) for name in learner.dls.vocab]}
    for step in learner.dls.after_batch.fs:
        if isinstance(step, Normalize):
            known |= {key: getattr(step, key).flatten().tolist() for key in ("mean", "std")}
    tensors = {name: value.cpu().contiguous().clone() for name, value in learner.model.state_dict().items()}
    save_file(tensors, target, metadata={"fastai": json.dumps(known)})


if __name__ == "__main__":
    unpickle(Path(sys.argv[1]), Path(sys.argv[2]))
