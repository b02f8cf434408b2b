"""Cross-validation of the bundle: a training per fold, and the scores of all folds' test tiles as one set."""
