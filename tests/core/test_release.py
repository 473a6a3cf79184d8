"""What a release says about itself: one version, and files that are where they are said to be."""

import re
from pathlib import Path

import pytest

import napari_semclass

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def text():
    """Read a file of the checkout."""
    if not (REPOSITORY / "setup.cfg").is_file():
        pytest.skip("not in a checkout")
    return lambda name: (REPOSITORY / name).read_text(encoding="utf-8")


def test_the_version_stands_in_one_place_and_others_agree(text):
    version = napari_semclass.__version__
    assert "version = attr: napari_semclass.__version__" in text("setup.cfg")
    assert f"\nversion: {version}\n" in text("CITATION.cff")
    newest = re.search(r"^## \[(.+?)\]", text("CHANGELOG.md"), re.MULTILINE)
    assert newest[1] in (version, "Unreleased")


def test_every_package_of_the_source_is_in_the_wheel(text):
    """Packages are listed one by one, and one that is forgotten is missing only for users."""
    listed = set(re.search(r"^packages =\n((?: +\S+\n)+)", text("setup.cfg"), re.MULTILINE)[1].split())
    found = {
        ".".join(path.parent.relative_to(root).parts)
        for root in (REPOSITORY, REPOSITORY / "training")
        for path in root.glob("*semclass*/**/__init__.py")
    }
    assert listed == found


def test_links_between_documents_lead_somewhere(text):
    documents = [f"docs/{path.name}" for path in REPOSITORY.glob("docs/*.md")]
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", *documents):
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text(name)):
            assert (REPOSITORY / name).parent.joinpath(target).exists(), f"{name} names {target}"
