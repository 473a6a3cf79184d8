"""The bundled fastai training module; the plan it will follow lives in `napari_semclass.learn.plan`."""
