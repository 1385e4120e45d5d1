"""Speed and accuracy of the project: commands that print a table and write JSON."""
