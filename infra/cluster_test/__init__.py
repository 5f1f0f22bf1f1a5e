"""`make cluster-test`: the chart on a real one-node Kubernetes, from the images to `helm uninstall`."""
