"""The bundled trainer: what a run's folder asks for, with fastai, in a process of its own."""
