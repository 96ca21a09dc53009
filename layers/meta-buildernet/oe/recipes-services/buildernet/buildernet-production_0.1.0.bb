# SPDX-License-Identifier: MIT
SUMMARY = "What makes the production image one: its firewall and its name"
DESCRIPTION = "The firewall is made from services/config/ports.toml, the name is in os-release, which is measured."

BUILDERNET_VARIANT = "production"
require buildernet-variant.inc

RCONFLICTS:${PN} = "buildernet-development"
