"""The front end: NeuroML and LEMS files to components, dynamics and networks."""
