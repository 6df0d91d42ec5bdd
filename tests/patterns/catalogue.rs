//! All 43 patterns by number, and which of them are written.

use crate::harness::Pattern;
use crate::{
    basic, cancellation, critical, instances, iteration, partial_instances, recursion, regions,
    state, synchronization, termination, triggers,
};

/// The categories, in the order of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Basic,
    Synchronization,
    Iteration,
    Termination,
    Instances,
    State,
    Cancellation,
    Triggers,
}

impl Category {
    pub(crate) const ALL: [Self; 8] = [
        Self::Basic,
        Self::Synchronization,
        Self::Iteration,
        Self::Termination,
        Self::Instances,
        Self::State,
        Self::Cancellation,
        Self::Triggers,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Basic => "Basic control flow",
            Self::Synchronization => "Advanced branching and synchronization",
            Self::Iteration => "Iteration",
            Self::Termination => "Termination",
            Self::Instances => "Multiple instances",
            Self::State => "State based",
            Self::Cancellation => "Cancellation and forced completion",
            Self::Triggers => "Triggers",
        }
    }
}

/// A pattern that has a test.
pub(crate) struct Written {
    /// The name of its function, which its trials begin with.
    pub(crate) name: &'static str,
    pub(crate) pattern: fn() -> Pattern,
}

/// One of the 43.
pub(crate) struct Entry {
    pub(crate) number: u8,
    pub(crate) category: Category,
    pub(crate) title: &'static str,
    /// `None`: it has no test yet.
    pub(crate) written: Option<Written>,
}

fn missing(number: u8, category: Category, title: &'static str) -> Entry {
    Entry {
        number,
        category,
        title,
        written: None,
    }
}

/// An entry whose test is a function.
macro_rules! written {
    ($number:literal, $category:expr, $title:literal, $module:ident::$function:ident) => {{
        let written = Written {
            name: stringify!($function),
            pattern: $module::$function,
        };
        let pattern = ($module::$function)();
        assert_eq!(pattern.number, $number, "its entry has its number");
        Entry {
            written: Some(written),
            ..missing($number, $category, $title)
        }
    }};
}

/// All 43, by number.
pub(crate) fn all() -> Vec<Entry> {
    use Category::{
        Basic, Cancellation, Instances, Iteration, State, Synchronization, Termination, Triggers,
    };
    vec![
        written!(1, Basic, "Sequence", basic::wcp_01_sequence),
        written!(2, Basic, "Parallel Split", basic::wcp_02_parallel_split),
        written!(3, Basic, "Synchronization", basic::wcp_03_synchronization),
        written!(4, Basic, "Exclusive Choice", basic::wcp_04_exclusive_choice),
        written!(5, Basic, "Simple Merge", basic::wcp_05_simple_merge),
        written!(
            6,
            Synchronization,
            "Multi-Choice",
            synchronization::wcp_06_multi_choice
        ),
        written!(
            7,
            Synchronization,
            "Structured Synchronizing Merge",
            synchronization::wcp_07_structured_synchronizing_merge
        ),
        written!(
            8,
            Synchronization,
            "Multi-Merge",
            synchronization::wcp_08_multi_merge
        ),
        written!(
            9,
            Synchronization,
            "Structured Discriminator",
            synchronization::wcp_09_structured_discriminator
        ),
        written!(
            10,
            Iteration,
            "Arbitrary Cycles",
            iteration::wcp_10_arbitrary_cycles
        ),
        written!(
            11,
            Termination,
            "Implicit Termination",
            termination::wcp_11_implicit_termination
        ),
        written!(
            12,
            Instances,
            "MI without Synchronization",
            instances::wcp_12_mi_without_synchronization
        ),
        written!(
            13,
            Instances,
            "MI, Design-Time Knowledge",
            instances::wcp_13_mi_design_time_knowledge
        ),
        written!(
            14,
            Instances,
            "MI, Run-Time Knowledge",
            instances::wcp_14_mi_run_time_knowledge
        ),
        written!(
            15,
            Instances,
            "MI without Run-Time Knowledge",
            instances::wcp_15_mi_without_run_time_knowledge
        ),
        written!(16, State, "Deferred Choice", state::wcp_16_deferred_choice),
        written!(
            17,
            State,
            "Interleaved Parallel Routing",
            critical::wcp_17_interleaved_parallel_routing
        ),
        written!(18, State, "Milestone", state::wcp_18_milestone),
        written!(
            19,
            Cancellation,
            "Cancel Task",
            cancellation::wcp_19_cancel_task
        ),
        written!(
            20,
            Cancellation,
            "Cancel Case",
            cancellation::wcp_20_cancel_case
        ),
        written!(
            21,
            Iteration,
            "Structured Loop",
            iteration::wcp_21_structured_loop
        ),
        written!(22, Iteration, "Recursion", recursion::wcp_22_recursion),
        written!(
            23,
            Triggers,
            "Transient Trigger",
            triggers::wcp_23_transient_trigger
        ),
        written!(
            24,
            Triggers,
            "Persistent Trigger",
            triggers::wcp_24_persistent_trigger
        ),
        written!(
            25,
            Cancellation,
            "Cancel Region",
            regions::wcp_25_cancel_region
        ),
        written!(
            26,
            Cancellation,
            "Cancel MI Activity",
            regions::wcp_26_cancel_mi_activity
        ),
        written!(
            27,
            Cancellation,
            "Complete MI Activity",
            regions::wcp_27_complete_mi_activity
        ),
        written!(
            28,
            Synchronization,
            "Blocking Discriminator",
            synchronization::wcp_28_blocking_discriminator
        ),
        written!(
            29,
            Synchronization,
            "Cancelling Discriminator",
            synchronization::wcp_29_cancelling_discriminator
        ),
        written!(
            30,
            Synchronization,
            "Structured Partial Join",
            synchronization::wcp_30_structured_partial_join
        ),
        written!(
            31,
            Synchronization,
            "Blocking Partial Join",
            synchronization::wcp_31_blocking_partial_join
        ),
        written!(
            32,
            Synchronization,
            "Cancelling Partial Join",
            synchronization::wcp_32_cancelling_partial_join
        ),
        written!(
            33,
            Synchronization,
            "Generalised AND-Join",
            synchronization::wcp_33_generalised_and_join
        ),
        written!(
            34,
            Instances,
            "Static Partial Join for MI",
            partial_instances::wcp_34_static_partial_join
        ),
        written!(
            35,
            Instances,
            "Cancelling Partial Join for MI",
            partial_instances::wcp_35_cancelling_partial_join
        ),
        written!(
            36,
            Instances,
            "Dynamic Partial Join for MI",
            partial_instances::wcp_36_dynamic_partial_join
        ),
        written!(
            37,
            Synchronization,
            "Local Synchronizing Merge",
            synchronization::wcp_37_local_synchronizing_merge
        ),
        written!(
            38,
            Synchronization,
            "General Synchronizing Merge",
            synchronization::wcp_38_general_synchronizing_merge
        ),
        written!(
            39,
            State,
            "Critical Section",
            critical::wcp_39_critical_section
        ),
        written!(
            40,
            State,
            "Interleaved Routing",
            critical::wcp_40_interleaved_routing
        ),
        written!(
            41,
            Synchronization,
            "Thread Merge",
            synchronization::wcp_41_thread_merge
        ),
        written!(
            42,
            Synchronization,
            "Thread Split",
            synchronization::wcp_42_thread_split
        ),
        written!(
            43,
            Termination,
            "Explicit Termination",
            termination::wcp_43_explicit_termination
        ),
    ]
}
