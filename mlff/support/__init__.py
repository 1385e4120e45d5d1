"""Files, signals, versions and compiled code: what every package may use."""
