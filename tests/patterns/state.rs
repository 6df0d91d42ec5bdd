//! State based: none is written yet.
