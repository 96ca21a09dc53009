# SPDX-License-Identifier: MIT
# wrynose has 3.23.0; services/pyproject.toml asks for 3.24.
require recipes-devtools/python/python-pycryptodome.inc
SRC_URI[sha256sum] = "3f9e74444c0ecbec7af232a95d282c74b114d53212ce075ed17b7fd7dca32bb3"

inherit python_setuptools_build_meta

# Taken by distributions that prefer it (conf/distro/buildernet.conf); others keep openembedded-core's.
DEFAULT_PREFERENCE = "-1"
