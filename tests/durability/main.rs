//! What must survive, counted and killed: write budgets, the kill sweep, two processes, the tree.

mod budgets;
mod child;
mod kill_sweep;
mod tidy;
mod two_processes;
