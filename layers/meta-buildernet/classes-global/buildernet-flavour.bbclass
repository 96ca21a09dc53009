# SPDX-License-Identifier: MIT
#
# Stops the build when the recipes that were parsed are not those the distribution was written for.
# conf/layer.conf chooses oe/ or debian/ by the presence of meta-oe, silently; this class makes a wrong choice loud.
# Both distribution configurations inherit it.

BUILDERNET_FLAVOUR ??= ""
BUILDERNET_FLAVOUR[doc] = "Recipes a distribution is written for: oe (from source) or debian (from Debian packages)."

addhandler buildernet_check_flavour
buildernet_check_flavour[eventmask] = "bb.event.ConfigParsed"
python buildernet_check_flavour() {
    collections = d.getVar("BBFILE_COLLECTIONS").split()
    parsed = "oe" if "openembedded-layer" in collections else "debian"
    wanted = d.getVar("BUILDERNET_FLAVOUR")
    if wanted != parsed:
        bb.fatal(f'DISTRO "{d.getVar("DISTRO")}" sets BUILDERNET_FLAVOUR = "{wanted}", but the layers in '
                 f'bblayers.conf give the "{parsed}" recipes: add or remove meta-oe (openembedded-layer).')
}
