#!/usr/bin/env bash
# Sets everything up and classifies a synthetic micrograph with the model that comes with the package.
# Works on a fresh Debian or Ubuntu as root, and anywhere else that has Python 3.11 or newer.
# Leaves a virtual environment in .venv and the results in semclass-demo; run again, it only updates them.

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

need_packages "${window_packages[@]}"
need_python
need_venv .venv
say "Installing napari-semclass; the first time this downloads several GB, most of it PyTorch ..."
.venv/bin/python -m pip install --quiet '.[all]'
.venv/bin/semclass demo --out semclass-demo "$@"
