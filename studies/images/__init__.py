"""Images of known quality: phantoms of five modalities, real images, and the physics that degrades them."""
