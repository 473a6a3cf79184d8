"""The dock widget and what it puts into the viewer; the only room that knows napari and Qt."""
