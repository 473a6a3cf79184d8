"""What the outputs of each input are called: its relative path, made longer only where two would clash."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from napari_semclass.classify.inputs import Input
from napari_semclass.names import path_form, path_of_text, text_of_path


def output_stems(inputs: Iterable[Input]) -> dict[Input, str]:
    """Name the outputs, the same whatever the order of `inputs`.

    `sub/x.tif` is called `sub/x`. Where two inputs share that, both keep their suffix: `sub/x.tif`, `sub/x.png`.
    Where they still clash, as `x.tif` of two folders given side by side, the path as given is mirrored.

    Returns
    -------
    dict of Input to str
        Relative to the output folder, with `/` and without the outputs' own suffixes.
    """
    inputs = list(inputs)
    levels = dict.fromkeys(inputs, 0)
    while True:
        sharing: dict[str, list[Input]] = defaultdict(list)
        for source in inputs:
            sharing[_place(_NAMES[levels[source]](source))].append(source)
        clashes = [group for group in sharing.values() if len(group) > 1]
        if not clashes:
            return {source: _NAMES[levels[source]](source) for source in inputs}
        for group in clashes:
            lowest = min(levels[source] for source in group)
            for source in group:
                levels[source] += levels[source] == lowest


def _stem(source: Input) -> str:
    return PurePosixPath(source.relative).with_suffix("").as_posix()


def _with_suffix(source: Input) -> str:
    return source.relative


def _as_given(source: Input) -> str:
    """The path as given, as a path that stays below the output folder."""
    parts = (part.replace(":", "") for part in PurePosixPath(path_of_text(source.file)).parts if part != "/")
    return "/".join("up" if part == ".." else part for part in parts)


def _with_hash(source: Input) -> str:
    return f"{_as_given(source)}.{hashlib.sha256(text_of_path(source.path).encode()).hexdigest()[:8]}"


_NAMES = (_stem, _with_suffix, _as_given, _with_hash)


def _place(name: str) -> str:
    """Equal for names that would share files: on disks that ignore case, or as a plane (`#3`) of another."""
    return re.sub(r"#\d+$", "", path_form(name).casefold())
