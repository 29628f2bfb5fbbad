"""Windows of a time series in a CSV file for genmod."""
