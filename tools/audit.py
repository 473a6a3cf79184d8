"""Asks whether the packages that users get with this program have known vulnerabilities, or says that nobody was asked.

Of what is installed here, that is napari-semclass with its extras for users (but bioimageio, which needs an older
pydantic), and whatever these need; no tools.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_NAME = "napari-semclass"
_EXTRAS = ("all", "cluster", "distributed", "export", "notebook", "sign")
_ASKED_FIRST = "numpy"
_TIMEOUT_S = 15


def main() -> int:
    """Run the audit; return 0 for no news, 1 for a vulnerability that an update mends, 2 for no audit with `--must`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--must", action="store_true", help="fail when the service cannot be reached, too")
    must = parser.parse_args().must
    versions = shipped()
    # One question first: where there is no network, or a mirror knows no vulnerabilities, all others are in vain.
    first = ask({_ASKED_FIRST: versions[_ASKED_FIRST]})
    found = ask(versions) if first and not unaudited(first) else None
    if found is None:
        print(f"Not audited: {len(versions)} packages, because the service that knows vulnerabilities is out of reach.")
        return 2 if must else 0
    print(said(found))
    return int(any(hole["fix_versions"] for part in found for hole in part.get("vulns", ())))


def shipped() -> dict[str, str]:
    """Names and versions of the installed packages that a user gets; local parts of versions (+cpu) are left out."""
    versions: dict[str, str] = {}
    seen = set()
    ahead = [Requirement(f"{_NAME}[{','.join(_EXTRAS)}]")]
    while ahead:
        wanted = ahead.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                package = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                continue  # an extra that is not installed here
            versions[name] = package.version.split("+")[0]
            needs = map(Requirement, package.requires or ())
            ahead += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    versions.pop(_NAME, None)
    return dict(sorted(versions.items()))


def ask(versions: dict[str, str]) -> list[dict[str, Any]] | None:
    """What pip-audit says of each package; None when it could not ask."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(listed), "--no-deps", "--disable-pip"]
        options = ["--format", "json", "--desc", "off", "--progress-spinner", "off", "--timeout", str(_TIMEOUT_S)]
        answer = subprocess.run([*command, *options], capture_output=True, text=True, check=False)  # noqa: S603
    try:
        found: list[dict[str, Any]] = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(*answer.stderr.splitlines()[-1:], file=sys.stderr)
        return None
    return found


def unaudited(found: Iterable[dict[str, Any]]) -> list[str]:
    """Names of packages that the service does not know in that version."""
    return [part["name"] for part in found if "skip_reason" in part]


def said(found: list[dict[str, Any]]) -> str:
    """What was found, for the reader of a log."""
    lines = [
        f"{part['name']} {part['version']}: {hole['id']}, mended in "
        + (", ".join(hole["fix_versions"]) or "no release yet")
        for part in found
        for hole in part.get("vulns", ())
    ]
    unknown = unaudited(found)
    if unknown:
        lines.append(f"Not known to the service: {', '.join(unknown)}.")
    return "\n".join([*lines, f"{len(found) - len(unknown)} packages audited."])


if __name__ == "__main__":
    sys.exit(main())
