//! The `largesse` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    largesse::cli::run()
}
