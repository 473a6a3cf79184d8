"""The errors a user can cause or meet; each is also the builtin that fits, so both can be caught."""


class SemclassError(Exception):
    """Anything this package reports to its user: one sentence saying what, where and what to do."""


class MicrographError(SemclassError, ValueError):
    """An image that cannot be read or is not a micrograph."""


class ModelError(SemclassError, ValueError):
    """A model file or card that cannot be used."""


class SettingsError(SemclassError, ValueError):
    """Settings that contradict each other or the image."""


class DeviceError(SemclassError, RuntimeError):
    """A device that is not there, or that failed while computing."""


class OutputError(SemclassError, OSError):
    """A result that cannot be written, or must not be overwritten."""


class DownloadError(SemclassError, OSError):
    """A download that failed, was refused, or does not match its pinned hash."""


def sentence_of(error: BaseException) -> str:
    """One sentence for the user about whatever was raised."""
    if isinstance(error, SemclassError):
        return str(error)
    return f"Something went wrong ({type(error).__name__}: {brief(error)})."


def brief(error: BaseException) -> str:
    """The first line of what a library said (at most 200 characters), or the kind of its error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
