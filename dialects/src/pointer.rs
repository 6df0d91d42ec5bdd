//! Where a value stands in a document.

use std::fmt;
use std::sync::Arc;

use crate::diagnostic::cut;
use crate::limits::{KEY_CHARS_MAX, QUOTED_CHARS_MAX};

/// A JSON pointer, kept as a chain from the inside out: whatever stands under one key shares that key,
/// which may be long and hold many values. Its text is written when somebody is told of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pointer(Option<Arc<Segment>>);

#[derive(Debug)]
struct Segment {
    around: Pointer,
    name: String,
}

impl Pointer {
    /// What stands under `name` here.
    pub(crate) fn inside(&self, name: impl Into<String>) -> Self {
        Self(Some(Arc::new(Segment {
            around: self.clone(),
            name: name.into(),
        })))
    }

    /// Keys and indices, from the outside in.
    pub(crate) fn segments(&self) -> Vec<&str> {
        let mut segments = Vec::new();
        let mut at = self;
        while let Some(segment) = &at.0 {
            segments.push(segment.name.as_str());
            at = &segment.around;
        }
        segments.reverse();
        segments
    }

    /// Its text, with keys cut off that no reader of a message would look through.
    pub(crate) fn shortened(&self) -> String {
        self.text(QUOTED_CHARS_MAX)
    }

    fn text(&self, chars_max: usize) -> String {
        let segments = self.segments().into_iter();
        segments.fold(String::new(), |text, name| {
            text + "/" + &cut(&escaped(name), chars_max)
        })
    }
}

/// Its text. No name is as long as the keys that are cut off.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(KEY_CHARS_MAX))
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped() {
        let pointer = Pointer::default().inside("a").inside("b/c~d");
        assert_eq!(pointer.to_string(), "/a/b~1c~0d");
        assert_eq!(pointer.segments(), ["a", "b/c~d"]);
        assert_eq!(Pointer::default().to_string(), "");
        let long = pointer.inside("x".repeat(2_000));
        let more = |text: &str| text.chars().count() - "/a/b~1c~0d/".len();
        assert_eq!(more(&long.shortened()), QUOTED_CHARS_MAX + 1);
        assert_eq!(more(&long.to_string()), KEY_CHARS_MAX + 1);
    }
}
