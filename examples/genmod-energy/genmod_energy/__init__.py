"""Energy distance of aggregate posterior and prior for genmod."""
