//! Performance figures, measured through the production entry points.
