"""The version of the product, for manifests, the package and images. It stands here alone: an image holds no package metadata."""

VERSION = "0.1.0"
