#!/bin/sh
# What both recipes do inside a bare Debian 12, in /opt/covidqu: the versions of uv.lock, and nothing beside them.
set -eu
apt-get update
apt-get install -y --no-install-recommends ca-certificates git python3 python3-pip
rm -rf /var/lib/apt/lists/*
python3 -m pip install --break-system-packages --no-cache-dir uv
uv sync --locked --no-dev --no-editable --compile-bytecode --link-mode copy
rm -rf ~/.cache
