# SPDX-License-Identifier: MIT
"""What is said about a built image: manifest, list of root files, SBOM. Called by BitBake tasks.

Everything written follows from the image and its inputs alone: no build time, no host, no path.
"""
