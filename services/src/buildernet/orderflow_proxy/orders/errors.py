# SPDX-License-Identifier: MIT
"""Why a request is no order. Messages go to the sender, so they name fields, never other users."""

from buildernet.orderflow_proxy.order import OrderRefusedError


class UnknownMethodError(OrderRefusedError):
    """The JSON-RPC method carries no order (-32601)."""


class OrderParamsError(OrderRefusedError):
    """The parameters are not of the method's shape, types and sizes (-32602)."""


class OrderRuleError(OrderRefusedError):
    """The parameters are well-formed, but a rule of the method or of Ethereum forbids them."""
