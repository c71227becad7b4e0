"""Host side of the testbed: build, boot, drive, measure, report."""
