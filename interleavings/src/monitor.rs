//! A value under a lock, and waiting until it changes or the time is over.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use shuttle::sync::Condvar;

use crate::locks::{Mutex, MutexGuard};
use crate::time::{self, Ring};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T: 'static> Monitor<T> {
    pub(crate) fn new(value: T) -> Arc<Self> {
        Arc::new(Self {
            value: Mutex::new(value),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock()
    }

    /// Wakes all who wait. Whoever has changed the value calls this after it.
    pub(crate) fn wake_all(&self) {
        self.changed.notify_all();
    }

    /// Waits until somebody wakes us, or until `deadline`; there is no telling which.
    pub(crate) fn wait<'a>(
        self: &'a Arc<Self>,
        guard: MutexGuard<'a, T>,
        deadline: Option<Duration>,
    ) -> MutexGuard<'a, T> {
        let bell = Arc::clone(self);
        let timer = deadline.map(|deadline| time::set(deadline, bell));
        let guard = self.changed.wait(guard);
        if let Some(timer) = timer {
            time::forget(timer);
        }
        guard.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: 'static> Ring for Monitor<T> {
    fn ring(&self) {
        // Under the lock: whoever has looked at the time and is about to wait is not passed over.
        let _held = self.lock();
        self.wake_all();
    }
}
