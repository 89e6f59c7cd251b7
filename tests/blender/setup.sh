#!/bin/sh
# A Blender as a Python module in an environment of its own: setup.sh FOLDER BLENDER PYTHON, e.g. .venv/bpy42 4.2.23 3.11
# Where that Python or that wheel cannot be had it says so; the tests of that Blender are then skipped.
set -eu
folder=$1 blender=$2 python=$3
for each in "python$python" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$python".*/bin/python; do
    if "$each" -c "import sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$python')" 2> /dev/null; then
        rm -rf "$folder"
        "$each" -m venv "$folder"
        if "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "bpy==$blender"; then
            touch "$folder/ready"
        else
            rm -rf "$folder"
            echo "bpy $blender cannot be installed here: the tests of that Blender will be skipped"
        fi
        exit 0
    fi
done
echo "no Python $python here: the tests of Blender $blender will be skipped"
