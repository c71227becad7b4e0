"""How requests reach the store: one interface, the native ring, two edges."""
