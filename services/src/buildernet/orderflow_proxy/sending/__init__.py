# SPDX-License-Identifier: MIT
"""How orders leave: queues, requests, connections and retries of one destination each.

It knows neither the hub nor who the destinations are; `delivery` and `peers` say that.
"""
