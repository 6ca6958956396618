"""The contract of an attribution method, for authors of one."""

from .contract import check_attribution

__all__ = ["check_attribution"]
