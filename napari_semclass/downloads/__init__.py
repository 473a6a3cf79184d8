"""Downloads: one list of what may be fetched, one function that fetches it, and what holds files to their hashes."""

from napari_semclass.downloads.fetch import Download, fetch, registered
from napari_semclass.downloads.offline import refuse_offline
from napari_semclass.downloads.pins import hold_to_pin

__all__ = ["Download", "fetch", "hold_to_pin", "refuse_offline", "registered"]
