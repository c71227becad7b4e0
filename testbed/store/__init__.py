"""The sharing store: the dom0 service that keeps domUs' compressed swap pages.

::

    ring page, data pages          transport/ (in-process), xen/ (the real one)
        | drain, publish           native/    (C: barriers, copies)
    requests and responses         dispatcher.py, protocol.py
        |
    one domain's keys and quota    domain.py
        |
    page sharing table             table.py   (sharing page entries)
        |
    arena                          arena.py   (sharing pages)

The lower four know nothing of Xen.  ``service.py`` ties them into one loop.
"""
