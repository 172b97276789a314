//! The emulator through the real SDK clients. One binary, because linking the SDK takes most time.

#[cfg(test)]
mod common;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod dynamo;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod pumps;
#[cfg(test)]
mod sqs;
#[cfg(test)]
mod stack;
#[cfg(test)]
mod streams;
