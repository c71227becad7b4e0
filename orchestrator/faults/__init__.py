"""Faults that are struck on purpose: when, how, and what becomes of them."""

from __future__ import annotations

from orchestrator.faults.injector import Injector
from orchestrator.faults.schedule import Strike, schedule

__all__ = ["Injector", "Strike", "schedule"]
