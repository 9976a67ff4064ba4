"""The jobs of the window: Generate, Complete, Train on the stage, Inspect beside it."""
