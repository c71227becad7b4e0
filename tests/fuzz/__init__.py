"""Fuzzers of the store's edges: what domUs write into rings, pages and xenstore.

::

    bytes -> program.py    ring requests, jumps, comings and goings  -> session.py -> subject.py
    bytes -> handshake.py  xenstore nodes, states, grants            -> dom0.py

``session.py`` plays a history at a store of each engine (``subject.py``) and
beside ``model.py``, which knows one domain and the protocol only; every byte
that a domain is given must be the model's. ``campaign.py`` runs either under
atheris or by plain mutation, with sanitizers if asked; ``replay.py`` measures
what the corpora reach. ``make test`` plays the committed corpora once, and
drives the same sessions by a hypothesis state machine.
"""
