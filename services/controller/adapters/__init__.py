"""The ports of the controller service on real technology."""
