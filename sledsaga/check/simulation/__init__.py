"""A world in which the real executor lives: clock, disk, machine, people, and the troubles of all."""
