# SPDX-License-Identifier: MIT
"""Figures of image, quotes, proxies, orderflow and archive, with what others give beside them.

`make bench` prints them with the aims of the project. Nothing here asserts a time: a figure that
could not be taken says why, and the others are still taken.
"""
