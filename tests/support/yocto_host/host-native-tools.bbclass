# SPDX-License-Identifier: MIT
# For tests/layer/test_yocto_tasks.py: the host's tools stand where native recipes would.

# Folders that python3-native and python3 would have made.
do_prepare_recipe_sysroot[postfuncs] =. "host_native_folders "
host_native_folders() {
    install -d ${STAGING_LIBDIR}/${PYTHON_DIR}/site-packages/none
    install -d ${STAGING_LIBDIR_NATIVE}/${PYTHON_DIR}/site-packages/none
}

# `bitbake -b` calls a function that no class of wrynose has any more.
def staging_package_populate_pkgdata_dir(folder, d):
    pass
