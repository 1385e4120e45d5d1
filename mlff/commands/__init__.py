"""What the commands of ``mlff`` do."""
