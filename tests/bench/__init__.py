# SPDX-License-Identifier: MIT
"""Figures of build, image, boot, quotes and proxies, with what others give beside them.

`make bench` prints them with the aims of the project. Nothing here asserts a time: a figure that
could not be taken says why, and the others are still taken.
"""
