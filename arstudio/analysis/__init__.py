"""What p says of an image: the conditional of any site, maps over the image, what a pixel can see."""
