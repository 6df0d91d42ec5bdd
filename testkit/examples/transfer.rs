//! Crashes a money transfer at every commit, simulates it, and shows what a mistake looks like.
//!
//! `cargo run -p windlass-testkit --example transfer`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::{Context, InvalidWorkflow, StepError, Workflow};
use windlass_testkit::{Case, Recorder};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Transfer {
    amount: u32,
    receipt: Option<String>,
}

/// Books the money, waits for a release, sends it under a key, and can take the booking back.
fn transfer(
    name: &str,
    bank: &Recorder,
    key: impl Fn(&Context) -> String + Send + Sync + 'static,
) -> Result<Workflow<Transfer>, InvalidWorkflow> {
    let (sends, returns) = (bank.clone(), bank.clone());
    Workflow::build(name, "1", |flow| {
        flow.step("book", |context, transfer: &mut Transfer| {
            let amount = [transfer.amount.into()];
            context
                .execute("INSERT INTO bookings (amount) VALUES (?1)", amount)
                .map_err(|error| StepError::failed(error.to_string()))
        })
        .transactional()
        .undo(move |context, _| {
            returns.note_undo(context, "returned");
            Ok(())
        })
        .wait_event("released", "release", |_, (): ()| {})
        .step("send", move |context, transfer| {
            // In earnest: a request to the bank, with this key.
            sends.note_keyed(context, key(context), format!("sent {}", transfer.amount));
            transfer.receipt = Some("R-1".to_owned());
            Ok(())
        })
        .idempotent(|transfer| format!("send-{}", transfer.amount))
        .retry(3, Duration::from_mins(1))
    })
}

fn case(workflow: &Workflow<Transfer>, bank: &Recorder) -> Case {
    let input = Transfer {
        amount: 5,
        receipt: None,
    };
    Case::new(workflow, &input)
        .recorder(bank)
        .answers("release", &())
        .table(
            "CREATE TABLE IF NOT EXISTS bookings (amount INTEGER NOT NULL)",
            "SELECT amount FROM bookings ORDER BY amount",
        )
}

fn main() -> Result<(), InvalidWorkflow> {
    let bank = Recorder::new();
    let right = transfer("transfer", &bank, Context::idempotency_key)?;
    let report = case(&right, &bank).crash_everywhere();
    println!(
        "{} commits, {} crashes: nothing is wrong",
        report.commits, report.crashes
    );
    let simulated = case(&right, &bank).simulate(3);
    println!("\nseed 3: {:#?}", simulated.disturbances);
    println!("{}", simulated.snapshot);

    let count = Arc::new(AtomicU32::new(0));
    let careless = transfer("careless-transfer", &bank, move |_| {
        format!("request-{}", count.fetch_add(1, Ordering::SeqCst))
    })?;
    if let Err(failure) = case(&careless, &bank).try_crash_everywhere() {
        println!("with a new key for each request:\n{failure}");
    }
    Ok(())
}
