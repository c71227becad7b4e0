"""A moment of the store to look at: domUs paused, its files copied (see ``__main__``)."""
