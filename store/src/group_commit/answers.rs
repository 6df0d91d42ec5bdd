//! Who is told what became of a change.

use crate::apply::Answered;
use crate::change::{Answer, Change, Reply, Said};
use crate::error::{AdmitError, StorageError, Unknown, WriteError};

pub(super) fn said<A, E>(to: Reply<A, E>, what: std::result::Result<A, E>) -> Box<dyn Answer>
where
    A: Send + std::fmt::Debug + 'static,
    E: Send + std::fmt::Debug + 'static,
{
    Box::new(Said { to, what })
}

pub(super) fn answer(change: Change, answered: Answered) -> Option<Box<dyn Answer>> {
    Some(match (change, answered) {
        (Change::Checkpoint(checkpoint), Answered::Unit(what)) => said(checkpoint.reply?, what),
        (
            Change::Unlock(_)
            | Change::Returned(..)
            | Change::Heartbeat(..)
            | Change::Tick
            | Change::Close,
            Answered::Unit(_),
        ) => return None,
        (Change::Register { reply, .. }, Answered::Key(what)) => said(reply, what),
        (Change::Signal { reply, .. }, Answered::Signal(what)) => said(reply, what),
        (Change::Cancel { reply, .. }, Answered::Flag(what)) => said(reply, what),
        (Change::Retry { reply, .. } | Change::CancelNode { reply, .. }, Answered::Count(what)) => {
            said(reply, what)
        }
        (Change::ChangeMap { reply, .. }, Answered::Map(what)) => said(reply, what),
        (Change::RegisterOwner { reply, .. }, Answered::Owner(what)) => said(reply, what),
        (Change::Recover { reply, .. }, Answered::Recovered(what)) => said(reply, what),
        (Change::Retain { reply, .. }, Answered::Retained(what)) => said(reply, what),
        (change, answered) => unreachable!("{answered:?} answers no {change:?}"),
    })
}

/// `unknown`: the change may have been written all the same.
pub(super) fn refuse(
    change: Change,
    error: &StorageError,
    unknown: bool,
) -> Option<Box<dyn Answer>> {
    let why = || {
        if unknown {
            WriteError::Unknown(Unknown(error.clone()))
        } else {
            WriteError::Storage(error.clone())
        }
    };
    Some(match change {
        Change::Admit { reply, .. } if unknown => {
            said(reply, Err(AdmitError::Unknown(Unknown(error.clone()))))
        }
        Change::Admit {
            runs: value, reply, ..
        } => said(
            reply,
            Err(AdmitError::Storage {
                value,
                source: error.clone(),
            }),
        ),
        Change::Checkpoint(checkpoint) => said(checkpoint.reply?, Err(why())),
        Change::Unlock(_)
        | Change::Returned(..)
        | Change::Heartbeat(..)
        | Change::Tick
        | Change::Close => return None,
        Change::ChangeMap { reply, .. } => said(reply, Err(why())),
        Change::Register { reply, .. } => said(reply, Err(why())),
        Change::Signal { reply, .. } => said(reply, Err(why())),
        Change::Cancel { reply, .. } => said(reply, Err(why())),
        Change::Retry { reply, .. } | Change::CancelNode { reply, .. } => said(reply, Err(why())),
        Change::RegisterOwner { reply, .. } => said(reply, Err(why())),
        Change::Recover { reply, .. } => said(reply, Err(why())),
        Change::Retain { reply, .. } => said(reply, Err(why())),
    })
}
