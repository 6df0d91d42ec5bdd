//! User data on its way: JSON text that the engine carries and never looks into.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// JSON bytes, shared when cloned.
///
/// The engine writes them down as they are. Debug output shows the length only, so user data does
/// not reach logs by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Arc<[u8]>);

impl Payload {
    /// The JSON value `null`.
    pub fn null() -> Self {
        Self(Arc::from(&b"null"[..]))
    }

    /// Takes bytes that are already JSON.
    pub fn from_json(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Encodes `value` as JSON.
    ///
    /// # Errors
    /// What `serde_json` says when the value has no JSON form (a map with keys that are no text).
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_vec(value).map(|bytes| Self(bytes.into()))
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// What `serde_json` says when the JSON is not a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// The JSON text as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte at all (then it is no JSON either).
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}
