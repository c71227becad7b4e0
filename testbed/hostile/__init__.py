"""A store that lies: a test double of ``testbed.store`` to try the frontend with.

It finds domains, shakes hands and keeps pages as the real one does, with its
code; what it tells one of the domains is not true. No part of the service: it
imports the store, and nothing imports it.

::

    answers.py   one answer on its way to the frontend
    lies.py      what can be wrong with an answer, the ring or a data page
    nodes.py     what can be wrong in xenstore
    ring.py      the ring, as the native piece would not write it
    liar.py      draws the lies and tells them
"""
