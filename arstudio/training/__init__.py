"""How θ is learned: the loop, the run on disk, the figures. Knows nothing of screens;
reports through `Progress`."""
