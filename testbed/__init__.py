"""What runs inside the emulated machine, and the data that describes it."""
