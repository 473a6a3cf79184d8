"""The bundled training module; the plan it follows is `napari_semclass.learn.plan`. So far: start weights."""
