"""gdb on the emulated machine: Xen, dom0 and the domUs on the same CPUs.

``session.py`` starts gdb; ``gdb_commands.py`` is what gdb itself loads.
"""
