//! The functions' binaries, built once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use largesse_emulator::Stack;
use serde_json::Value;

static STACK: OnceLock<Stack> = OnceLock::new();
static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();

/// The template that is deployed.
pub(crate) fn stack() -> &'static Stack {
    let text = include_str!("../../template.yaml");
    STACK.get_or_init(|| Stack::parse(text).expect("the template parses"))
}

/// Where the binary of a function is.
pub(crate) fn binary(function: &str) -> &'static PathBuf {
    BUILT.get_or_init(build).get(function).expect("a binary of the template")
}

/// Builds all functions in one go and reads from Cargo where it put them. They are built as they are
/// shipped; `BOOTSTRAP_PROFILE` names another profile, which builds faster while one works on them.
fn build() -> BTreeMap<String, PathBuf> {
    let profile = std::env::var("BOOTSTRAP_PROFILE").unwrap_or_else(|_| "shipped".to_owned());
    let mut cargo = Command::new(env!("CARGO"));
    // What Cargo told this test about its package would make it build anew what asks for that.
    for (name, _) in std::env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if told.iter().any(|start| name.to_string_lossy().starts_with(start)) {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--profile", &profile, "--message-format=json"]);
    for function in &stack().functions {
        cargo.args(["--package", &function.binary]);
    }
    let built = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(built.status.success(), "the functions do not build");
    let messages = built.stdout.split(|byte| *byte == b'\n');
    messages
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, message["executable"].as_str()?.into()))
        })
        .collect()
}

/// The settings `key=value` of these lines that begin with `start`, without blanks and quotes.
fn settings(text: &str, start: &str) -> BTreeSet<String> {
    let lines = text.lines().map(|line| line.replace([' ', '"', '\'', ','], ""));
    lines.filter_map(|line| Some(line.strip_prefix(start)?.to_owned())).collect()
}

/// The settings of a section of Cargo.toml.
fn section(name: &str) -> BTreeSet<String> {
    let (_, section) =
        include_str!("../../Cargo.toml").split_once(&format!("[{name}]\n")).expect("a section");
    settings(section.split("\n\n").next().unwrap_or_default(), "")
}

#[test]
fn what_sam_builds_is_what_is_measured() {
    let mut shipped = section("profile.shipped");
    assert!(shipped.remove("inherits=release"));
    let packages = section("profile.shipped.package");
    shipped.extend(packages.iter().map(|setting| format!("package.{setting}")));
    let sam = settings(include_str!("../../CargoLambda.toml"), "profile.release.");
    assert_eq!(sam, shipped);
    // What is cold in the local stack is not in a function.
    let release = section("profile.release.package");
    let cold = release.iter().filter_map(|setting| setting.strip_suffix(".opt-level=0"));
    let back: BTreeSet<String> = cold.map(|package| format!("{package}.opt-level=s")).collect();
    assert_eq!(packages, back);
}
