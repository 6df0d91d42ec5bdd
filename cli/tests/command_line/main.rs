//! Programs under their guard, driven as the engine drives it: an order, then a pipe.

mod guard;
