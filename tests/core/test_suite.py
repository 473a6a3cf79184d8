"""What the tests themselves rest on."""

import logging

import pytest


class _BusyLogger(logging.Logger):
    """Makes another logger whenever it is looked at, as a thread that imports modules may at any moment."""

    @property
    def propagate(self) -> bool:
        logging.getLogger(f"busy.{len(logging.Logger.manager.loggerDict)}")
        return True

    @propagate.setter
    def propagate(self, value: bool) -> None:
        """Stays as it is."""


@pytest.fixture
def _loggers_that_grow(monkeypatch):
    monkeypatch.setattr(logging.Logger.manager, "loggerDict", dict(logging.Logger.manager.loggerDict))
    logging.Logger.manager.loggerDict["busy"] = _BusyLogger("busy")


@pytest.mark.usefixtures("_loggers_that_grow")
def test_a_thread_that_imports_does_not_disturb_the_next_test():
    """If pytest went through the loggers between a test and its end, the end of this one would fail."""
