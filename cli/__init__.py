"""The command line `medq`."""
