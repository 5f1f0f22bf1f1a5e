"""The tables of embedding, and the images in them."""
