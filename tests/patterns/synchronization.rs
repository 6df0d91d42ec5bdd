//! Advanced branching and synchronization: none is written yet.
