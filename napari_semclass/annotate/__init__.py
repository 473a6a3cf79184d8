"""What a user marks: categories, marks, the tiles and groups that follow from them, data sets, projects on disk."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "autosave": ["Leftover", "autosave_folder", "discard", "leftovers"],
        "categories": ["Categories", "MarkCategory"],
        "collect": ["LabelledTiles", "Source", "collect_tiles"],
        "dataset": ["export_tiles", "write_dataset"],
        "findings": ["Finding", "export_findings", "read_findings"],
        "groups": ["Grouping", "Marked", "group_tiles"],
        "imported": ["Examples", "read_examples"],
        "learning": ["learn_project"],
        "locate": ["Located", "locate_images"],
        "marks": ["Marks", "Point", "Region", "ellipse"],
        "project": ["ImageEntry", "MarkLayer", "Project", "ResultEntry", "read_project", "write_project"],
        "suggest": ["next_tiles"],
        "tiles": ["MarkedTiles", "mark_tiles"],
    },
)

if TYPE_CHECKING:
    from napari_semclass.annotate.autosave import Leftover as Leftover
    from napari_semclass.annotate.autosave import autosave_folder as autosave_folder
    from napari_semclass.annotate.autosave import discard as discard
    from napari_semclass.annotate.autosave import leftovers as leftovers
    from napari_semclass.annotate.categories import Categories as Categories
    from napari_semclass.annotate.categories import MarkCategory as MarkCategory
    from napari_semclass.annotate.collect import LabelledTiles as LabelledTiles
    from napari_semclass.annotate.collect import Source as Source
    from napari_semclass.annotate.dataset import export_tiles as export_tiles
    from napari_semclass.annotate.dataset import write_dataset as write_dataset
    from napari_semclass.annotate.findings import Finding as Finding
    from napari_semclass.annotate.findings import export_findings as export_findings
    from napari_semclass.annotate.findings import read_findings as read_findings
    from napari_semclass.annotate.groups import Grouping as Grouping
    from napari_semclass.annotate.groups import Marked as Marked
    from napari_semclass.annotate.groups import group_tiles as group_tiles
    from napari_semclass.annotate.imported import Examples as Examples
    from napari_semclass.annotate.imported import read_examples as read_examples
    from napari_semclass.annotate.learning import learn_project as learn_project
    from napari_semclass.annotate.locate import Located as Located
    from napari_semclass.annotate.locate import locate_images as locate_images
    from napari_semclass.annotate.marks import Marks as Marks
    from napari_semclass.annotate.marks import Point as Point
    from napari_semclass.annotate.marks import Region as Region
    from napari_semclass.annotate.marks import ellipse as ellipse
    from napari_semclass.annotate.project import ImageEntry as ImageEntry
    from napari_semclass.annotate.project import MarkLayer as MarkLayer
    from napari_semclass.annotate.project import Project as Project
    from napari_semclass.annotate.project import ResultEntry as ResultEntry
    from napari_semclass.annotate.project import read_project as read_project
    from napari_semclass.annotate.project import write_project as write_project
    from napari_semclass.annotate.suggest import next_tiles as next_tiles
    from napari_semclass.annotate.tiles import MarkedTiles as MarkedTiles
    from napari_semclass.annotate.tiles import mark_tiles as mark_tiles
