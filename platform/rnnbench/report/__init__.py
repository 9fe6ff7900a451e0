"""From the ledger to a comparison: tidy tables, statistics, figures, pages."""
