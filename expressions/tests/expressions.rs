//! Expressions in every role: what they give, and what is said when they fail.

use std::time::Duration;

use windlass_expressions::{EXPRESSION_FAILED, ExpressionError, compile, limits};
use windlass_workflow_model::{
    Arrival, BranchOutcome, Event, Fault, Function, FunctionRole, Functions, Payload, Verdict,
};

const DATA: &str = r#"{"amount": 120, "net": 10, "tax": 2, "name": "ship", "ratio": 0.5,
    "items": [{"id": "a", "price": 3}, {"id": "b", "price": 4}], "empty": {}, "flag": true}"#;

fn payload(json: &str) -> Payload {
    Payload::from_json(json.as_bytes())
}

fn text(payload: &Payload) -> String {
    String::from_utf8(payload.as_bytes().to_vec()).expect("JSON is text")
}

/// Compiles `expression` and calls it with `data`; every result as a text.
fn call(role: FunctionRole, expression: &str, data: &str) -> Result<String, Fault> {
    let function =
        compile(expression, role).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let data = payload(data);
    match function {
        Function::Predicate(f) => f(&data).map(|truth| truth.to_string()),
        Function::Guard(f) => f(&data).map(|verdict| match verdict {
            Verdict::Run => "run".to_owned(),
            Verdict::Skip(reason) => format!("skip: {reason}"),
        }),
        Function::Items(f) => f(&data).map(|seeds| {
            let seeds = seeds
                .iter()
                .map(|seed| format!("{} {}", seed.name, text(&seed.data)));
            seeds.collect::<Vec<_>>().join(", ")
        }),
        Function::Delay(f) => f(&data).map(|delay| format!("{delay:?}")),
        Function::Compute(f) => f(&data).map(|data| text(&data)),
        Function::Merge(f) => f(&data, &mut arrivals().into_iter()).map(|data| text(&data)),
        Function::Fold(f) => f(&data, &fault()).map(|data| text(&data)),
        Function::Reply(f) => {
            let event = Event {
                payload: payload(r#"{"answer": "yes"}"#),
                is_fault: false,
            };
            f(&data, &event).map(|data| text(&data))
        }
        Function::Count(f) => f(&data).map(|count| count.to_string()),
        Function::Item(f) => f(&data, 7).map(|data| text(&data)),
        Function::Tally(f) => {
            let instance = arrivals().remove(0);
            let tally = f(&payload(r#"{"sum": 5}"#), &instance);
            tally.map(|(counted, enough)| format!("{} {enough}", text(&counted)))
        }
        Function::Key(f) => f(&data),
        Function::Wording(f) => f(&fault()).map(|errors| {
            let errors = errors
                .iter()
                .map(|error| format!("{} [{}] {}", error.step, error.code, error.message));
            errors.collect::<Vec<_>>().join(", ")
        }),
    }
}

fn fault() -> Fault {
    let first = Fault::new("paper-jam", "no paper").at("print", Some("office"), None);
    let second = Fault::new("no-ink", "no ink").at("fill", None, Some("2"));
    Fault::join([first, second])
}

fn arrivals() -> Vec<Arrival> {
    let arrival = |index, name: &str, outcome| Arrival {
        index,
        name: name.to_owned(),
        outcome,
    };
    let succeeded = |json| BranchOutcome::Succeeded(payload(json));
    vec![
        arrival(0, "left", succeeded(r#"{"n": 1}"#)),
        arrival(1, "right", succeeded(r#"{"n": 2}"#)),
        arrival(2, "broken", BranchOutcome::Failed(fault())),
    ]
}

fn check(role: FunctionRole, cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        let found = call(role, expression, DATA).unwrap_or_else(|fault| fault.summary());
        assert_eq!(found, *expected, "{role:?} {expression}");
    }
}

fn check_data(cases: &[(&str, &str, &str)]) {
    for (expression, data, expected) in cases {
        let found = call(FunctionRole::Compute, expression, data);
        let found = found.unwrap_or_else(|fault| fault.summary());
        assert_eq!(found, *expected, "{expression} of {data}");
    }
}

/// The cause alone, without the words before it.
fn check_cause(role: FunctionRole, cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        let fault = call(role, expression, DATA).expect_err(expression);
        let all = format!("the expression `{expression}` failed: {expected}");
        assert_eq!(fault.summary(), all);
        assert_eq!(fault.errors[0].code, EXPRESSION_FAILED);
        assert!(!fault.retryable, "{expression}");
    }
}

#[test]
fn every_role_gives_what_the_model_takes() {
    check(
        FunctionRole::Predicate,
        &[
            ("data.amount > 100", "true"),
            ("data.amount > 100.5", "true"),
            ("data.ratio < 1", "true"),
            ("data.amount == 120.0", "true"),
            (
                "data.name.startsWith('sh') && data.name.matches('^s.*p$')",
                "true",
            ),
            ("data.items.exists(item, item.id == 'c')", "false"),
            ("has(data.missing) && data.missing > 1", "false"),
            ("data.?missing.orValue(7) == 7", "true"),
            ("'price' in data.items[0]", "true"),
            ("type(data.amount) == int", "true"),
            (
                "timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026",
                "true",
            ),
        ],
    );
    check(
        FunctionRole::Guard,
        &[
            ("data.flag", "run"),
            ("data.net > 10", "skip: condition is false: data.net > 10"),
        ],
    );
    check(
        FunctionRole::Items,
        &[
            (
                "data.items",
                r#"0 {"id":"a","price":3}, 1 {"id":"b","price":4}"#,
            ),
            ("data.items.map(item, item.price)", "0 3, 1 4"),
            ("[]", ""),
        ],
    );
    check(
        FunctionRole::Delay,
        &[
            ("data.net", "10s"),
            ("data.ratio", "500ms"),
            ("duration('1h30m')", "5400s"),
            ("data.net == 10 ? 0 : 1", "0ns"),
        ],
    );
    check(
        FunctionRole::Compute,
        &[
            ("{'total': data.net + data.tax}", r#"{"total":12}"#),
            (
                "with(data.items[0], {'price': 5, 'new': null})",
                r#"{"id":"a","new":null,"price":5}"#,
            ),
            ("with(data.empty, {})", "{}"),
            ("data.name + '!'", r#""ship!""#),
            ("null", "null"),
        ],
    );
    check(
        FunctionRole::Merge,
        &[
            (
                "branches.map(b, has(b.data), [b.name, b.index, b.data.n])",
                r#"[["left",0,1],["right",1,2]]"#,
            ),
            (
                "branches.filter(b, has(b.fault)).map(b, b.fault.code)",
                r#"["paper-jam"]"#,
            ),
            (
                "with({'name': data.name}, {'n': branches[1].data.n})",
                r#"{"n":2,"name":"ship"}"#,
            ),
        ],
    );
    check(
        FunctionRole::Fold,
        &[
            (
                "[data.name, fault.message, fault.code, fault.step]",
                r#"["ship","no paper","paper-jam","print"]"#,
            ),
            (
                "fault.errors",
                r#"[{"branch":null,"code":"paper-jam","message":"no paper","parent":"office","step":"print"},{"branch":"2","code":"no-ink","message":"no ink","parent":null,"step":"fill"}]"#,
            ),
        ],
    );
    check(
        FunctionRole::Wording,
        &[
            (
                "fault.errors",
                "print [paper-jam] no paper, fill [no-ink] no ink",
            ),
            (
                "[{'step': fault.step, 'code': 'late', 'message': 'it took too long'}]",
                "print [late] it took too long",
            ),
        ],
    );
    check_cause(
        FunctionRole::Wording,
        &[(
            "fault.code",
            "it gives a string, and a wording is a list of errors, each with step, code and message",
        )],
    );
    check(
        FunctionRole::Reply,
        &[("[data.name, event.answer]", r#"["ship","yes"]"#)],
    );
}

#[test]
fn numbers_come_out_with_the_digits_they_came_in_with() {
    for json in [
        "0",
        "-9223372036854775808",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "2.0",
        "0.1",
        "31.245270191439438",
        "1.7976931348623157e+308",
        "5e-324",
        "-1e+300",
        "null",
        r#""a \" 99999999999999999999""#,
        r#"{"9999999999999999999999":[1,2.5,true,null,"x"]}"#,
    ] {
        let (whole, inside) = (json, format!("[{json}]"));
        check_data(&[("data", whole, whole), ("[data]", whole, &inside)]);
    }
}

#[test]
fn an_integer_that_does_not_fit_is_refused() {
    let refused = |digits: &str| {
        format!(
            "the expression `data` failed: the integer {digits} in the data fits neither 64 bits \
             with a sign nor without: send it as text"
        )
    };
    for digits in [
        "18446744073709551616",
        "-9223372036854775809",
        "1234567890123456789012",
    ] {
        check_data(&[
            ("data", digits, &refused(digits)),
            (
                "data",
                &format!(r#"{{"a": ["\\", {digits}]}}"#),
                &refused(digits),
            ),
        ]);
    }
    let overflow = |op| format!("the result of {op} does not fit 64 bits");
    check_cause(
        FunctionRole::Compute,
        &[
            ("9223372036854775807 + data.net", &overflow("+")),
            ("-9223372036854775808 - data.net", &overflow("-")),
            ("9223372036854775807 * data.net", &overflow("*")),
        ],
    );
}

#[test]
fn a_failure_names_the_expression_and_the_cause() {
    check_cause(
        FunctionRole::Predicate,
        &[
            (
                "data.amuont > 100",
                "there is no key \"amuont\": there are amount, empty, flag, items, name, net, \
                 ratio, tax",
            ),
            (
                "data['amuont'] > 100 || false",
                "there is no key \"amuont\": there are amount, empty, flag, items, name, net, ratio, tax",
            ),
            (
                "data.empty.x == 1",
                "there is no key \"x\": the map is empty",
            ),
            (
                "data.items.all(item, item.cost > 1)",
                "there is no key \"cost\": there are id, price",
            ),
            (
                "has(data.x) ? data.x.y : data.items.map(i, i.price).map(p, data.items[1].x)",
                "there is no key \"x\": there are id, price",
            ),
            (
                "data.items.map(item, item.id)[5] == 'a'",
                "there is no element 5 in the list: look at size(…) first",
            ),
            (
                "data.amount",
                "it gives an int, and a condition is true or false: compare it with something",
            ),
            ("data.name > 1", "> cannot take (string, int)"),
            (
                "data.net * 1.5 > 1.0",
                "* cannot take an int and a double: arithmetic does not mix them, so write int(…) \
                 or double(…) around one",
            ),
            ("data.net / 0 == 1", "it divides by zero"),
            (
                "timestamp(data.name) > timestamp(0)",
                "timestamp(…) cannot read the value it was given",
            ),
            (
                "data.name.matches('(')",
                "matches(…) cannot read the value it was given",
            ),
        ],
    );
    check_cause(
        FunctionRole::Items,
        &[(
            "data.name",
            "it gives a string, and the branches of a split come from a list",
        )],
    );
    check_cause(
        FunctionRole::Delay,
        &[
            (
                "data.name",
                "it gives a string, and a delay is a number of seconds or a duration('…')",
            ),
            (
                "-1",
                "it gives a delay that is negative or no number: wait 0 seconds or more",
            ),
            (
                "-0.5",
                "it gives a delay that is negative or no number: wait 0 seconds or more",
            ),
            (
                "double('NaN')",
                "it gives a delay that is negative or no number: wait 0 seconds or more",
            ),
            (
                "duration('-1s')",
                "it gives a delay that is negative or no number: wait 0 seconds or more",
            ),
        ],
    );
    check_cause(
        FunctionRole::Compute,
        &[
            (
                "1.0 / 0.0",
                "the result has the number inf, which JSON has not",
            ),
            (
                "{1: 'a'}",
                "the result has a map with the key 1, and keys of JSON are text: write string(1)",
            ),
            (
                "[duration('1s')]",
                "the result has a duration, which JSON has not: write string(…) around it",
            ),
            (
                "data.?net",
                "the result has an optional value: add .orValue(…)",
            ),
            ("with(data, data.items)", "with(…) cannot take (map, list)"),
            (
                "data.net.startsWith('a')",
                "startsWith(…) cannot take (int, string)",
            ),
        ],
    );
}

#[test]
fn a_payload_that_is_no_json_is_a_fault() {
    for data in ["", "{", "[1,]", "nul"] {
        let fault = call(FunctionRole::Compute, "1", data).expect_err(data);
        assert!(
            fault.summary().contains("the data is not JSON"),
            "{}",
            fault.summary()
        );
    }
}

#[test]
fn a_text_that_is_no_expression_says_where_and_why() {
    let role = FunctionRole::Predicate;
    for (text, expected) in [
        (
            "amount > 100",
            "the expression names \"amount\" at character 1, which is not there: a function of \
             this role sees data",
        ),
        (
            "data.a == 'ä' && fault.code == 'x'",
            "the expression names \"fault\" at character 18, which is not there: a function of \
             this role sees data",
        ),
        (
            "data.at < now()",
            "the expression calls \"now\" at character 14, which is no function of CEL's standard \
             library, nor `with`: there is no clock, randomness or other effect; pass such a value \
             in the data",
        ),
        (
            "data.name.toUpper() == 'A'",
            "the expression calls \"toUpper\" at character 18, which is no function of CEL's \
             standard library, nor `with`: there is no clock, randomness or other effect; pass \
             such a value in the data",
        ),
        (
            "Point{x: 1}.x == 1",
            "the expression makes a \"Point\" at character 6, and there are no such types here: \
             write a map, {'key': value}",
        ),
    ] {
        let error = compile(text, role).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
    for (text, position) in [
        ("data.a >", 9),
        ("", 1),
        ("data.a ++ 1", 9),
        ("data.a ==\n 1 1", 14),
        ("'ä' 1", 5),
        ("9223372036854775808 > 1", 1),
        ("has(data)", 5),
        ("'open", 1),
        ("=data.a", 1),
    ] {
        match compile(text, role).expect_err(text) {
            ExpressionError::Syntax { at, reason } => {
                assert_eq!(at, position, "{text}: {reason}");
                assert!(!reason.is_empty(), "{text}");
            }
            other => panic!("{text}: {other}"),
        }
    }
}

#[test]
fn no_text_overflows_the_stack() {
    let nested = |open: &str, close: &str, times: usize| {
        format!("{}1{}", open.repeat(times), close.repeat(times))
    };
    let ways = [
        ("(", ")"),
        ("[", "]"),
        ("{'a':", "}"),
        ("size(", ")"),
        ("-", ""),
        ("!", ""),
        ("true?1:", ""),
        ("1+", ""),
        ("1||", ""),
        ("", ".a"),
        ("", "[0]"),
        ("", ".map(x,x)"),
        ("[1].map(x,", ")"),
    ];
    for (open, close) in ways {
        for times in [100_000, 1_000] {
            match compile(&nested(open, close, times), FunctionRole::Compute) {
                Err(ExpressionError::TooLong { .. } | ExpressionError::TooDeep { .. }) => {}
                other => panic!("{open} {close} {times}: {other:?}"),
            }
        }
        // The deepest that is let through: whatever comes of it comes as a value.
        let per_level =
            |times: u16| compile(&nested(open, close, times.into()), FunctionRole::Compute);
        let is_let_through =
            |times: &u16| !matches!(per_level(*times), Err(ExpressionError::TooDeep { .. }));
        let deepest = (1..=limits::NESTING_MAX)
            .rev()
            .find(is_let_through)
            .unwrap();
        if let Ok(Function::Compute(function)) = per_level(deepest) {
            let _ = function(&Payload::null());
        }
    }
}

#[test]
fn a_long_flat_text_is_read_and_a_longer_one_refused() {
    let flat = |terms: usize| format!("[{}1]", "data.a + 1, ".repeat(terms));
    assert!(compile(&flat(1_000), FunctionRole::Items).is_ok());
    let long = flat(limits::TEXT_BYTES_MAX / 12 + 1);
    assert_eq!(
        compile(&long, FunctionRole::Items).err(),
        Some(ExpressionError::TooLong { bytes: long.len() })
    );
}

#[test]
fn an_evaluation_that_would_never_end_is_stopped() {
    let list = |length: usize| format!("[{}0]", "0,".repeat(length - 1));
    let thousand = list(1_000);
    for expression in [
        // Rounds within rounds.
        "data.all(a, data.all(b, data.all(c, data.all(d, true))))",
        // The error of the bound is swallowed by an operator.
        "data.exists(a, data.all(b, data.all(c, data.all(d, true)))) || true",
        // A text, a list and a map that double.
        &format!("['ab']{}", ".map(x, x + x)".repeat(30)),
        &format!("[[1]]{}", ".map(x, [x, x])".repeat(30)),
        &format!("[{{'a': 1}}]{}", ".map(x, {'a': x, 'b': x})".repeat(30)),
        "data.map(a, data.map(b, data))",
        // What is compared or searched as a whole.
        "data.all(a, data.all(b, data == data))",
        "data.all(a, data.all(b, data.all(c, !(1 in data))))",
        "data.map(a, data.map(b, '0'.matches('a')))",
    ] {
        let fault = call(FunctionRole::Compute, expression, &thousand).expect_err(expression);
        let bound = format!(
            "it takes more than {} units of work",
            limits::EVALUATION_UNITS_MAX
        );
        assert!(
            fault.summary().contains(&bound),
            "{expression}: {}",
            fault.summary()
        );
    }
    let large = list(100_000);
    let found = call(
        FunctionRole::Compute,
        "data.filter(x, x == 0).size()",
        &large,
    );
    assert_eq!(
        found.map_err(|fault| fault.summary()),
        Ok("100000".to_owned())
    );
}

#[test]
fn the_same_data_gives_the_same_result() {
    let keys: Vec<_> = (0..50).map(|key| format!("\"k{key:02}\":{key}")).collect();
    let data = format!("{{{}}}", keys.join(","));
    let names: Vec<_> = (0..50).map(|key| format!("\"k{key:02}\"")).collect();
    let names = format!("[{}]", names.join(","));
    check_data(&[
        ("data", &data, &data),
        ("data.map(key, key)", &data, &names),
        ("data.filter(key, true)", &data, &names),
        (
            "{'b': 1, 'a': 2, 'c': 3}.map(key, key)",
            "null",
            r#"["a","b","c"]"#,
        ),
        (
            "{2: 1, 1u: 2, 'c': 3, false: 0}.map(key, string(key))",
            "null",
            r#"["1","2","false","c"]"#,
        ),
    ]);
}

#[test]
fn there_is_no_clock_and_no_randomness() {
    let names = [
        "now",
        "today",
        "time",
        "clock",
        "date",
        "random",
        "rand",
        "uuid",
        "uuid4",
        "env",
        "getenv",
        "timestamp.now",
        "math.random",
        "google.protobuf.now",
        "timestamp",
        "duration",
    ];
    for name in names {
        let Ok(Function::Compute(function)) = compile(&format!("{name}()"), FunctionRole::Compute)
        else {
            continue;
        };
        let fault = function(&Payload::null()).expect_err(name);
        assert!(
            fault.summary().contains("cannot take ()"),
            "{name}: {}",
            fault.summary()
        );
    }
}

#[test]
fn messages_name_keys_of_the_data_and_never_show_its_values() {
    let data = r#"{"secret": "hunter2", "n": 1, "list": ["hunter2"]}"#;
    for expression in [
        "data.secret + 1",
        "data.secret > 1",
        "data.secret.x",
        "data.n.startsWith(data.secret)",
        "data.list + data.secret",
        "data.list[data.secret]",
        "data[data.list]",
        "{data.list: 1}",
        "data.secret",
        "int(data.secret)",
        "timestamp(data.secret)",
        "duration(data.secret)",
        "data.n.matches(data.secret)",
        "'a'.matches(data.secret + '(')",
        "-data.secret",
    ] {
        let fault = call(FunctionRole::Delay, expression, data).expect_err(expression);
        assert!(!fault.summary().contains("hunter2"), "{}", fault.summary());
    }
}

#[test]
fn a_compiled_function_serves_many_threads() {
    let mut functions = Functions::new();
    let delay = compile("data.n", FunctionRole::Delay).unwrap();
    functions.insert("=data.n", delay.clone());
    assert!(functions.has("=data.n", FunctionRole::Delay));
    std::thread::scope(|scope| {
        for n in 0..4 {
            let Function::Delay(delay) = &delay else {
                panic!("a delay was asked for")
            };
            scope.spawn(move || {
                let data = Payload::encode(&serde_json::json!({ "n": n })).unwrap();
                assert_eq!(delay(&data), Ok(Duration::from_secs(n)));
            });
        }
    });
}

#[test]
fn a_map_is_counted_made_and_tallied_by_expressions() {
    check(FunctionRole::Count, &[("size([1, 2, 3])", "3")]);
    check(FunctionRole::Item, &[("{'i': index}", r#"{"i":7}"#)]);
    let sum = "{'counted': {'sum': counted.sum + instance.data.n}, 'enough': counted.sum + instance.data.n >= 6}";
    check(FunctionRole::Tally, &[(sum, r#"{"sum":6} true"#)]);
    check(FunctionRole::Key, &[("'order-' + string(4)", "order-4")]);
}
