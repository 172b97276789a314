//! v2: what each route does when it says yes, when it says no, and when it is asked again.

mod bodies;
mod drop;
mod drop_shuffle;
mod drops;
mod keys;
mod pages;
mod refusals;
mod spray;
