"""What learning needs without fastai: plans, data sets, audit, splits, tiles, linear head, metrics, reports, runs."""
