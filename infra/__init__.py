"""What builds, deploys and watches the product; nothing that it imports while it runs."""
