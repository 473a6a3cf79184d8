#!/usr/bin/env bash
# Lists what users get with a wheel (an SBOM, CycloneDX JSON): it is installed with the extras for users into an
# environment of its own, and every package there is written down with version, licence and what it needs.
# bash tools/sbom.sh WHEEL SBOM.json

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

[ $# -eq 2 ] || { say "Usage: bash tools/sbom.sh WHEEL SBOM.json (paths as seen from the checkout)"; exit 2; }
need_python
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
need_venv "$scratch/users"
need_venv "$scratch/tool"
"$scratch/users/bin/python" -m pip install --quiet "$1[all,cluster,distributed,export,notebook,sign]"
"$scratch/users/bin/python" -m pip uninstall --quiet --yes pip
"$scratch/tool/bin/python" -m pip install --quiet "cyclonedx-bom>=7"
"$scratch/tool/bin/cyclonedx-py" environment "$scratch/users/bin/python" --output-format JSON --output-file "$2"
say "$2 lists $(grep -c '"bom-ref"' "$2") packages."
