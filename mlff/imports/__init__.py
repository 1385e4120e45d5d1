"""Public checkpoints of other codes as models of this one."""
