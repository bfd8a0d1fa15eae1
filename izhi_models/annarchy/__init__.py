"""The back end: networks as ANNarchy definitions, compiled, cached and run."""
