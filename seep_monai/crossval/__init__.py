"""Cross-validation: one training per fold, and scores of the pooled test tiles of all folds."""
