//! What an expression sees in each role, and what it has to give there.

use std::sync::Arc;
use std::time::Duration;

use cel::Value;
use windlass_workflow_model::{
    Arrival, Arrivals, BranchOutcome, BranchSeed, ErrorEntry, Event, Fault, Function, FunctionRole,
    Payload, Verdict,
};

use crate::error::ExpressionError;
use crate::json::{self, Held};
use crate::program::Program;

/// A function name that begins with this is an expression: `=data.amount > 100`.
pub const PREFIX: char = '=';

/// Makes a function of an expression's text, which comes without its [`PREFIX`].
///
/// The function is pure: the same data gives the same result. When it fails, its fault has the code
/// [`EXPRESSION_FAILED`](crate::EXPRESSION_FAILED), names the expression and the cause, and is
/// permanent.
///
/// # Errors
/// [`ExpressionError`] if the text is no expression, names what a function of this role does not
/// see, or is beyond the [`limits`](crate::limits).
pub fn compile(text: &str, role: FunctionRole) -> Result<Function, ExpressionError> {
    let program = Program::parse(text, variables(role))?;
    Ok(match role {
        FunctionRole::Predicate => {
            Function::Predicate(Arc::new(move |data| truth(&program, run(&program, data)?)))
        }
        FunctionRole::Guard => Function::Guard(Arc::new(move |data| {
            verdict(&program, run(&program, data)?)
        })),
        FunctionRole::Items => {
            Function::Items(Arc::new(move |data| items(&program, run(&program, data)?)))
        }
        FunctionRole::Delay => {
            Function::Delay(Arc::new(move |data| delay(&program, &run(&program, data)?)))
        }
        FunctionRole::Compute => Function::Compute(Arc::new(move |data| {
            new_data(&program, &run(&program, data)?)
        })),
        FunctionRole::Merge => Function::Merge(Arc::new(move |data, arrivals| {
            let branches = branches(&program, arrivals)?;
            new_data(&program, &run_with(&program, data, ("branches", branches))?)
        })),
        FunctionRole::Fold => Function::Fold(Arc::new(move |data, fault| {
            new_data(
                &program,
                &run_with(&program, data, ("fault", fault_map(fault)))?,
            )
        })),
        FunctionRole::Reply => Function::Reply(Arc::new(move |data, event: &Event| {
            let event = read(&program, &event.payload)?;
            new_data(&program, &run_with(&program, data, ("event", event))?)
        })),
        FunctionRole::Count => {
            Function::Count(Arc::new(move |data| count(&program, &run(&program, data)?)))
        }
        FunctionRole::Item => Function::Item(Arc::new(move |data, index| {
            let index = ("index", json::int(index));
            new_data(&program, &run_with(&program, data, index)?)
        })),
        FunctionRole::Tally => Function::Tally(Arc::new(move |counted, arrival| {
            let instance = branch(&program, arrival)?;
            let counted = ("counted", read(&program, counted)?);
            tally(&program, &program.run([counted, ("instance", instance)])?)
        })),
        FunctionRole::Key => {
            Function::Key(Arc::new(move |data| key(&program, run(&program, data)?)))
        }
        FunctionRole::Wording => Function::Wording(Arc::new(move |fault| {
            errors(&program, &program.run([("fault", fault_map(fault))])?)
        })),
    })
}

fn variables(role: FunctionRole) -> &'static [&'static str] {
    match role {
        FunctionRole::Predicate
        | FunctionRole::Guard
        | FunctionRole::Items
        | FunctionRole::Delay
        | FunctionRole::Count
        | FunctionRole::Key
        | FunctionRole::Compute => &["data"],
        FunctionRole::Merge => &["data", "branches"],
        FunctionRole::Fold => &["data", "fault"],
        FunctionRole::Reply => &["data", "event"],
        FunctionRole::Item => &["data", "index"],
        FunctionRole::Tally => &["counted", "instance"],
        FunctionRole::Wording => &["fault"],
    }
}

// What an expression sees.

fn read(program: &Program, payload: &Payload) -> Result<Held, Fault> {
    json::read(payload).map_err(|cause| program.fault(cause))
}

fn run(program: &Program, data: &Payload) -> Result<Value, Fault> {
    program.run([("data", read(program, data)?)])
}

fn run_with(
    program: &Program,
    data: &Payload,
    other: (&'static str, Held),
) -> Result<Value, Fault> {
    program.run([("data", read(program, data)?), other])
}

fn branches(program: &Program, arrivals: Arrivals<'_>) -> Result<Held, Fault> {
    let branches = arrivals.map(|arrival| branch(program, &arrival));
    branches.collect::<Result<_, Fault>>().map(json::list)
}

fn branch(program: &Program, arrival: &Arrival) -> Result<Held, Fault> {
    let brought = match &arrival.outcome {
        BranchOutcome::Succeeded(data) => ("data", read(program, data)?),
        BranchOutcome::Failed(fault) => ("fault", fault_map(fault)),
        BranchOutcome::Cancelled(reason) => ("cancelled", json::text(reason)),
    };
    Ok(json::map([
        ("name", json::text(&arrival.name)),
        ("index", json::int(arrival.index)),
        brought,
    ]))
}

fn fault_map(fault: &Fault) -> Held {
    let first = fault.errors.first();
    let of_first = |part: fn(&ErrorEntry) -> &str| json::text(first.map_or("", part));
    let errors = fault.errors.iter().map(|error| {
        json::map([
            ("message", json::text(&error.message)),
            ("code", json::text(&error.code)),
            ("step", json::text(&error.step)),
            ("parent", json::text_or_null(error.parent.as_deref())),
            ("branch", json::text_or_null(error.branch.as_deref())),
        ])
    });
    json::map([
        ("message", of_first(|error| &error.message)),
        ("code", of_first(|error| &error.code)),
        ("step", of_first(|error| &error.step)),
        ("errors", json::list(errors.collect())),
    ])
}

// What an expression gives.

fn truth(program: &Program, value: Value) -> Result<bool, Fault> {
    match value {
        Value::Bool(truth) => Ok(truth),
        other => Err(program.fault(format!(
            "it gives {}, and a condition is true or false: compare it with something",
            json::kind(&other)
        ))),
    }
}

fn verdict(program: &Program, value: Value) -> Result<Verdict, Fault> {
    Ok(if truth(program, value)? {
        Verdict::Run
    } else {
        Verdict::Skip(format!("condition is false: {}", program.shown()))
    })
}

fn items(program: &Program, value: Value) -> Result<Vec<BranchSeed>, Fault> {
    let Value::List(values) = value else {
        return Err(program.fault(format!(
            "it gives {}, and the branches of a split come from a list",
            json::kind(&value)
        )));
    };
    let seeds = values.iter().enumerate().map(|(index, value)| {
        Ok(BranchSeed {
            name: index.to_string(),
            data: new_data(program, value)?,
        })
    });
    seeds.collect()
}

fn delay(program: &Program, value: &Value) -> Result<Duration, Fault> {
    let delay = match value {
        Value::Int(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Value::UInt(seconds) => Some(Duration::from_secs(*seconds)),
        Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        Value::Duration(duration) => duration.to_std().ok(),
        other => {
            return Err(program.fault(format!(
                "it gives {}, and a delay is a number of seconds or a duration('…')",
                json::kind(other)
            )));
        }
    };
    delay.ok_or_else(|| {
        program.fault("it gives a delay that is negative or no number: wait 0 seconds or more")
    })
}

fn new_data(program: &Program, value: &Value) -> Result<Payload, Fault> {
    json::write(value).map_err(|cause| program.fault(cause))
}

fn count(program: &Program, value: &Value) -> Result<u32, Fault> {
    let count = match value {
        Value::Int(count) => u32::try_from(*count).ok(),
        Value::UInt(count) => u32::try_from(*count).ok(),
        other => {
            return Err(program.fault(format!(
                "it gives {}, and a count is a whole number: use size(…)",
                json::kind(other)
            )));
        }
    };
    count.ok_or_else(|| program.fault("it gives a count that is negative or beyond 32 bits"))
}

/// What a tally gives: `{"counted": …, "enough": …}`.
fn tally(program: &Program, value: &Value) -> Result<(Payload, bool), Fault> {
    let wrong = || program.fault("a tally gives {'counted': …, 'enough': true or false}");
    let Value::Map(map) = value else {
        return Err(wrong());
    };
    let of = |name: &str| map.get(&cel::objects::Key::from(name)).ok_or_else(wrong);
    let Value::Bool(enough) = of("enough")? else {
        return Err(wrong());
    };
    Ok((new_data(program, of("counted")?)?, *enough))
}

/// What a wording gives: a list as `fault.errors` is.
fn errors(program: &Program, value: &Value) -> Result<Vec<ErrorEntry>, Fault> {
    let given = new_data(program, value)?;
    given.decode().map_err(|_| {
        program.fault(format!(
            "it gives {}, and a wording is a list of errors, each with step, code and message",
            json::kind(value)
        ))
    })
}

fn key(program: &Program, value: Value) -> Result<String, Fault> {
    match value {
        Value::String(key) => Ok(key.to_string()),
        Value::Int(key) => Ok(key.to_string()),
        Value::UInt(key) => Ok(key.to_string()),
        other => Err(program.fault(format!(
            "it gives {}, and a correlation is a text or a whole number",
            json::kind(&other)
        ))),
    }
}
