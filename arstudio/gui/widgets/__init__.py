"""Widgets that draw: pixels, distributions, the timeline, thumbnails, small controls."""
