"""Files, processes, devices and random streams."""
