"""The documentation site builds without a warning, and what its pages link to and show is there."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import napari_semclass

REPOSITORY = Path(__file__).parents[2]
NEEDED = ("sphinx", "myst_parser", "furo", "sphinx_argparse_cli", "sphinx_copybutton")
MISSING = [name for name in NEEDED if not find_spec(name)]

pytestmark = [
    pytest.mark.skipif(not (REPOSITORY / "docs" / "conf.py").is_file(), reason="the documentation is in the checkout"),
    pytest.mark.skipif(bool(MISSING), reason=f"the site needs the extra `docs` ({', '.join(MISSING)} missing)"),
]


class Page(HTMLParser):
    """What a page links to and shows, and the places in it that can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.places, self.targets = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.places.add(named.get("id"))
        target = named.get("src" if tag == "img" else "href") if tag in ("a", "img") else None
        if target and not urlsplit(target).scheme:
            self.targets.add(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `sphinx-build -W` does; a warning is an error."""
    built = tmp_path_factory.mktemp("site")
    roots = [str(Path(napari_semclass.__file__).parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", built / "trees", REPOSITORY / "docs", built],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, roots))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.glob("*.html")}


def test_every_link_and_picture_of_the_site_is_there(pages):
    missing = []
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            aim = path.parent / unquote(parts.path) if parts.path else path
            if not aim.exists() or (parts.fragment and aim in pages and parts.fragment not in pages[aim].places):
                missing.append(f"{path.name}: {target}")
    assert not missing


def test_every_command_and_public_name_is_explained(site, pages):
    from napari_semclass.cli import _parser

    commands = (site / "commands.html").read_text(encoding="utf-8")
    (known,) = (action.choices for action in _parser()._actions if action.dest == "command")
    assert not [name for name in known if f"semclass {name}" not in commands]
    assert not [
        name
        for name in napari_semclass.__all__
        if not any(place and place.endswith(f".{name}") for place in pages[site / "api.html"].places)
    ]


def test_the_starter_is_described_by_its_own_file(site):
    card = napari_semclass.load_model("starter").card
    page = (site / "starter.html").read_text(encoding="utf-8")
    assert all(name in page for name in card.names)
    assert card.tests[0].protocol in page
