//! Finds engines on the same database that have died, and frees their jobs.

use windlass_store::inspect::Inspector;
use windlass_store::sync::oneshot;
use windlass_store::{
    Change, DeadOwner, OwnerFiles, Proof, Reader, Recovered, StorageError, Store, StoreKind,
    WriteError,
};
use windlass_workflow_model::OwnerId;

/// Looks at the files of other owners.
#[derive(Debug)]
pub struct Recovery {
    store: Store,
    reader: Box<dyn Reader>,
    files: OwnerFiles,
    ours: OwnerId,
    max_crashes: u32,
    /// Dead owners whose jobs are being freed; their files stay locked until that is durable.
    pending: Vec<Option<Freeing>>,
}

type Freeing = (DeadOwner, oneshot::Receiver<Result<Recovered, WriteError>>);

impl Recovery {
    /// For an engine that is `ours`. `None` in memory, where nobody else is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(
        store: &Store,
        ours: OwnerId,
        max_crashes: u32,
    ) -> Result<Option<Self>, StorageError> {
        let StoreKind::Sqlite { owners, .. } = store.kind() else {
            return Ok(None);
        };
        let files = owners.clone();
        let (store, reader) = (store.clone(), store.reader()?);
        Ok(Some(Self {
            store,
            reader,
            files,
            ours,
            max_crashes,
            pending: Vec::new(),
        }))
    }

    /// Removes files of owners that died before they were registered, or after they had left.
    fn remove_strays(&mut self) -> Result<(), StorageError> {
        let known: Vec<_> = self
            .reader
            .owners()?
            .into_iter()
            .map(|owner| owner.file)
            .collect();
        for name in self
            .files
            .names()
            .iter()
            .filter(|name| !known.contains(name))
        {
            if let Proof::Dead(stray) = self.files.probe(name) {
                stray.remove();
            }
        }
        Ok(())
    }

    /// Frees the jobs of all owners that are proven dead; `step` lets the writer work meanwhile.
    ///
    /// # Errors
    /// When something cannot be read or written; the next look tries again.
    pub fn recover(&mut self, mut step: impl FnMut()) -> Result<Recovered, WriteError> {
        self.remove_strays()?;
        let mut all = Recovered::default();
        for (dead, mut answer) in self.look()? {
            let recovered = loop {
                step();
                match answer.try_recv() {
                    Ok(recovered) => break recovered?,
                    Err(oneshot::error::TryRecvError::Empty) => {}
                    Err(oneshot::error::TryRecvError::Closed) => {
                        return Err(StorageError::Closed.into());
                    }
                }
            };
            dead.remove();
            all.freed += recovered.freed;
            all.were_running += recovered.were_running;
            all.parked.extend(recovered.parked);
        }
        Ok(all)
    }

    /// Asks the writer to free the jobs of each owner that is proven dead.
    fn look(&mut self) -> Result<Vec<Freeing>, WriteError> {
        let mut found = Vec::new();
        for owner in self.reader.owners()? {
            if owner.id == self.ours {
                continue;
            }
            let Proof::Dead(dead) = self.files.probe(&owner.file) else {
                continue;
            };
            let (reply, answer) = oneshot::channel();
            let change = Change::Recover {
                owner: owner.id,
                running: dead.running(),
                crashed: true,
                max_crashes: self.max_crashes,
                reply,
            };
            if self.store.submit(change).is_err() {
                break;
            }
            tracing::warn!(
                pid = owner.pid,
                "an engine on this database has died: its jobs are freed"
            );
            found.push((dead, answer));
        }
        Ok(found)
    }

    /// Begins to free what dead owners left behind, without waiting for it.
    pub(crate) fn look_and_free(&mut self) {
        self.pending.retain_mut(|pending| {
            let Some((dead, mut answer)) = pending.take() else {
                return false;
            };
            match answer.try_recv() {
                Ok(Ok(_)) => dead.remove(),
                Err(oneshot::error::TryRecvError::Empty) => *pending = Some((dead, answer)),
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => {}
            }
            pending.is_some()
        });
        match self.look() {
            Ok(found) => self.pending.extend(found.into_iter().map(Some)),
            Err(error) => tracing::warn!(%error, "other owners cannot be looked at"),
        }
    }

    /// A view for looking after waiting callers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn inspector(store: &Store) -> Option<Inspector> {
        Inspector::of(store).ok()
    }
}
