"""A process deals here with its own surroundings: forks, pipes, memory, standard streams."""
