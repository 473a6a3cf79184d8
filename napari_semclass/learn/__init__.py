"""What learning needs without fastai: the plan, data sets, group splits, the linear head, metrics."""
