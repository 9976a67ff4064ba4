"""The window. The only room that knows Qt; everything it shows is pulled from `studio.Studio` and the Trace."""
