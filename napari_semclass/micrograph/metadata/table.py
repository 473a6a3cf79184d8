"""The table of vendors in the documentation, made from what their modules declare.

`python -m napari_semclass.micrograph.metadata.table docs/metadata.md` writes it anew.
"""

import sys
from pathlib import Path

from napari_semclass.micrograph.metadata.vendors import vendor_formats

BEGIN, END = "<!-- vendors: made by napari_semclass.micrograph.metadata.table -->", "<!-- end of vendors -->"
_HEADER = ("vendor", "models or programs", "tag or file", "what is read", "units", "known from")


def vendor_table() -> str:
    """The formats of all vendors as a Markdown table."""
    rows = [
        (entry.vendor, entry.models, entry.where, entry.keys, entry.units, entry.source) for entry in vendor_formats()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in (_HEADER, ("---",) * len(_HEADER), *rows))


def with_table(page: str) -> str:
    """A page with the table between its two marks.

    Raises
    ------
    ValueError
        The page lacks the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{vendor_table()}\n{END}{after}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_table(file.read_text(encoding="utf-8")), encoding="utf-8")
