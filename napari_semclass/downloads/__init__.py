"""Downloads: one list of what may be fetched, and one function that fetches it."""

from napari_semclass.downloads.fetch import Download, fetch, registered

__all__ = ["Download", "fetch", "registered"]
