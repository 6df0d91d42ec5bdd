//! Names of nodes: those of the steps, made different where the file repeats them.

use std::collections::HashSet;

/// Bytes of a step's name that its nodes keep; what is added to it must fit too.
const NAME_BYTES: usize = 180;

/// The names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// The name, or the next free one like it.
    pub(super) fn take(&mut self, name: &str) -> String {
        let name: String = name
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let end = name.floor_char_boundary(NAME_BYTES.min(name.len()));
        let name = match name[..end].trim() {
            "" => "step",
            name => name,
        };
        let mut found = name.to_owned();
        let mut number = 1;
        while !self.taken.insert(found.clone()) {
            number += 1;
            found = format!("{name} ({number})");
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_readable_and_are_never_taken_twice() {
        let mut names = Names::default();
        assert_eq!(names.take("Ask"), "Ask");
        assert_eq!(names.take("Ask"), "Ask (2)");
        assert_eq!(names.take("Ask (2)"), "Ask (2) (2)");
        assert_eq!(names.take("a\nb"), "a b");
        assert_eq!(names.take(" "), "step");
        assert_eq!(names.take(&"ü".repeat(200)).len(), 180);
    }
}
