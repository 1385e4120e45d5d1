"""Having this file puts ``tests`` on the path, so that tests can import helpers such as ``toy_potential``."""
