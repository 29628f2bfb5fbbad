"""One small working component of each kind, which ``genmod plugin new`` copies; ``Template`` becomes its name."""
