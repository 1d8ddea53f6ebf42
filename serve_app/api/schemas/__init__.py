"""Request and response models of the native API, one module per subject. ``of`` builds responses from domain values."""
