//! A child process, and what Linux says about it.

use std::process::{Child, Command};

use procfs::ProcError;
use procfs::process::Process;

use super::report::figure;
use super::{BenchError, process};

/// A process that is killed when this is dropped.
pub(super) struct Watched(Child);

impl Watched {
    /// Starts it.
    pub(super) fn start(command: &mut Command) -> Result<Self, BenchError> {
        let what = || format!("cannot start {}", command.get_program().display());
        let what = what();
        command.spawn().map(Self).map_err(|source| process(what, source))
    }

    pub(super) const fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// What of its memory is resident, in MiB: the peak, and now.
    pub(super) fn memory_mib(&self) -> Result<(f64, f64), BenchError> {
        let status = self.look()?.status().map_err(unreadable)?;
        let mib = |kib: Option<u64>| kib.map_or(f64::NAN, |kib| figure(kib) / 1_024.0);
        Ok((mib(status.vmhwm), mib(status.vmrss)))
    }

    /// Time on a processor so far, in milliseconds, of all threads that live. `schedstat` counts
    /// nanoseconds; `stat` counts hundredths of a second.
    pub(super) fn cpu_ms(&self) -> Result<f64, BenchError> {
        let mut ns = 0_u64;
        for task in self.look()?.tasks().map_err(unreadable)?.flatten() {
            let ran = task.schedstat().map_err(unreadable)?.sum_exec_runtime;
            ns = ns.saturating_add(ran);
        }
        // In microseconds first: a process that starts stays far below an hour.
        Ok(figure(ns.div_euclid(1_000)) / 1e3)
    }

    fn look(&self) -> Result<Process, BenchError> {
        let id = i32::try_from(self.0.id()).unwrap_or(i32::MAX);
        Process::new(id).map_err(unreadable)
    }
}

fn unreadable(error: ProcError) -> BenchError {
    BenchError::Broken(format!("cannot read /proc: {error}"))
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
