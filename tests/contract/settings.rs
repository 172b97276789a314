//! What functions read from their environment: all of it at their start, exactly what template.yaml
//! gives them, and as docs/configuration.md says.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use largesse_app::settings::{Fault, SettingError, Variables};
use largesse_emulator::FunctionSpec;

type Environment = BTreeMap<String, String>;

/// What Lambda sets. The last two may be missing.
const LAMBDA: [(&str, &str); 5] = [
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_REGION", "ap-northeast-2"),
    ("AWS_SESSION_TOKEN", "token"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
];
const MAY_BE_MISSING: [&str; 12] = [
    "ARCHIVE_BUCKET",
    "BASE_PATH",
    "RUST_LOG",
    "MONEY_RATE_PER_S",
    "CAMPAIGN_FORCE_USERS",
    "WEBHOOK_URL",
    "NOTIFY_LINK_BASE",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "MONEY_URL",
    "MONEY_SECRET",
    "MONEY_SERVICE",
];
/// What is taken as it is, since AWS alone can tell whether it is right.
const AS_IT_IS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

fn functions() -> Vec<FunctionSpec> {
    largesse::compose::stack().unwrap().functions
}

/// What a function has when it starts.
fn environment(function: &FunctionSpec) -> Environment {
    let mut environment = function.environment.clone();
    environment.extend(LAMBDA.map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment
}

/// Reads the settings of a function, as its main does.
fn read(binary: &str, variables: &Variables<'_>) -> Result<(), SettingError> {
    match binary {
        "archive" => archive::settings::Settings::read(variables).map(drop),
        "admin" => admin::settings::Settings::read(variables).map(drop),
        "campaign-control" => campaign_control::settings::Settings::read(variables).map(drop),
        "campaign-start" => campaign_start::settings::Settings::read(variables).map(drop),
        "campaign-seal" => campaign_seal::settings::Settings::read(variables).map(drop),
        "campaign-fanout" => campaign_fanout::settings::Settings::read(variables).map(drop),
        "campaign-pay" => {
            campaign_pay::settings::Settings::read(variables, campaign_pay::Source::Lane).map(drop)
        }
        "campaign-retry" => {
            let source = campaign_pay::Source::Retries;
            campaign_pay::settings::Settings::read(variables, source).map(drop)
        }
        "drop-enter" => drop_enter::settings::Settings::read(variables).map(drop),
        "grant-pay" => grant_pay::settings::Settings::read(variables).map(drop),
        "notify" => notify::settings::Settings::read(variables).map(drop),
        "outbox" => outbox::settings::Settings::read(variables).map(drop),
        "pool-sweep" => pool_sweep::settings::Settings::read(variables).map(drop),
        "product-invest" => product_invest::settings::Settings::read(variables).map(drop),
        "query" => query::settings::Settings::read(variables).map(drop),
        "reconcile" => reconcile::settings::Settings::read(variables).map(drop),
        "refund-batch" => refund_batch::settings::Settings::read(variables).map(drop),
        "spray-claim" => spray_claim::settings::Settings::read(variables).map(drop),
        "spray-create" => spray_create::settings::Settings::read(variables).map(drop),
        "wallet" => wallet::settings::Settings::read(variables).map(drop),
        unknown => panic!("which settings has {unknown}?"),
    }
}

fn read_in(function: &FunctionSpec, environment: &Environment) -> Result<(), SettingError> {
    read(&function.binary, &Variables::new(|name| environment.get(name).cloned()))
}

/// The variables that a function reads.
fn read_by(function: &FunctionSpec) -> BTreeSet<String> {
    let (environment, names) = (environment(function), RefCell::new(BTreeSet::new()));
    let variables = Variables::new(|name| {
        names.borrow_mut().insert(name.to_owned());
        environment.get(name).cloned()
    });
    read(&function.binary, &variables).unwrap();
    drop(variables);
    names.into_inner()
}

#[test]
fn the_template_gives_each_function_exactly_the_variables_that_it_reads() {
    for function in functions() {
        let given: BTreeSet<String> = environment(&function).into_keys().collect();
        assert_eq!(read_by(&function), given, "{}", function.binary);
    }
}

#[test]
fn a_variable_that_is_missing_or_malformed_keeps_a_function_from_starting_and_is_named() {
    for function in functions() {
        let whole = environment(&function);
        assert_eq!(read_in(&function, &whole), Ok(()));
        for name in whole.keys().map(String::as_str) {
            let with = |value: Option<&str>| {
                let mut environment = whole.clone();
                match value {
                    Some(value) => drop(environment.insert(name.to_owned(), value.to_owned())),
                    None => drop(environment.remove(name)),
                }
                let error = read_in(&function, &environment).err();
                error.map(|error| (error.name.to_owned(), error.fault))
            };
            let failure = |fault| Some((name.to_owned(), fault));
            let missing = failure(Fault::Missing).filter(|_| !MAY_BE_MISSING.contains(&name));
            assert_eq!(with(None), missing, "{}", function.binary);
            assert_eq!(with(Some("")), missing, "{}", function.binary);
            let malformed = failure(Fault::Malformed).filter(|_| !AS_IT_IS.contains(&name));
            assert_eq!(with(Some("= ")), malformed, "{}", function.binary);
        }
    }
}

/// The rows of the tables of docs/configuration.md whose first cell names a variable: the names, and
/// the other cells.
fn rows_of_the_page() -> Vec<(Vec<String>, Vec<String>)> {
    let page = include_str!("../../docs/configuration.md");
    let (_, section) = page.split_once("## Environment variables of the functions").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells =
        rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()));
    cells
        .map(|mut cells| {
            let names = cells.next().unwrap();
            (names.split(", ").map(|n| n.trim_matches('`').to_owned()).collect(), cells.collect())
        })
        .collect()
}

#[test]
fn the_page_names_each_variable_and_the_functions_that_read_it() {
    let (mut expected, mut all) = (BTreeMap::<String, BTreeSet<String>>::new(), BTreeSet::new());
    for function in functions() {
        all.insert(function.binary.clone());
        for name in read_by(&function) {
            expected.entry(name).or_default().insert(function.binary.clone());
        }
    }
    let mut page = BTreeMap::new();
    for (names, cells) in rows_of_the_page() {
        let readers = match cells[0].as_str() {
            "every function" => all.clone(),
            readers => readers.split(", ").map(str::to_owned).collect(),
        };
        for name in names {
            let is_optional = cells[1].starts_with("optional");
            assert_eq!(is_optional, MAY_BE_MISSING.contains(&name.as_str()), "{name}");
            assert_eq!(page.insert(name.clone(), readers.clone()), None, "{name} is there twice");
        }
    }
    assert_eq!(page, expected);
}

#[test]
fn cargo_lambda_watch_gives_every_function_what_it_reads() {
    let text = include_str!("../../CargoLambda.toml");
    let (_, watch) = text.split_once("env_var = [").unwrap();
    let lines = watch.split(']').next().unwrap().lines();
    let lines = lines.filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
    let environment: Environment = lines
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for function in functions() {
        assert_eq!(read_in(&function, &environment), Ok(()), "{}", function.binary);
    }
}
