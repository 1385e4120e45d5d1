"""Recipes that train and test a potential on public data sets, and the report that sets them beside published ones."""
