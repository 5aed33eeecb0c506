"""Generated cards in formats that others read: model cards, a data card, Croissant, RO-Crate, the CLAIM checklist."""
