//! What Linux says about a process.

use std::process::{Child, Command};

use super::{BenchError, process};

/// A process that is killed when it is no longer looked at.
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

    /// A field of its memory, in MiB: `VmHWM` is the peak of what was resident, `VmRSS` what is
    /// now.
    pub(super) fn memory_mib(&self, field: &str) -> Result<f64, BenchError> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        let kib = kib.ok_or_else(|| BenchError::Broken(format!("no {field} of a process")))?;
        Ok(kib / 1_024.0)
    }

    /// Time on a processor so far, in milliseconds, of all threads that live. From `schedstat`,
    /// whose first field is nanoseconds: `stat` counts in hundredths of a second.
    pub(super) fn cpu_ms(&self) -> Result<f64, BenchError> {
        let folder = format!("/proc/{}/task", self.0.id());
        let threads = std::fs::read_dir(&folder).map_err(|e| process(folder.clone(), e))?;
        let mut ns = 0.0;
        for thread in threads.flatten() {
            let text = std::fs::read_to_string(thread.path().join("schedstat"));
            let text = text.map_err(|source| process("no schedstat", source))?;
            let first = text.split_whitespace().next().and_then(|text| text.parse::<f64>().ok());
            ns += first.unwrap_or(0.0);
        }
        Ok(ns / 1e6)
    }

    fn read(&self, file: &str) -> Result<String, BenchError> {
        let path = format!("/proc/{}/{file}", self.0.id());
        std::fs::read_to_string(&path).map_err(|source| process(path, source))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
