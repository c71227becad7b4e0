"""The real edge: grants, event channels and xenstore in dom0."""
