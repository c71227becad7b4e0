"""Measurements that run in dom0, beside nothing else: what the store's own work takes."""
