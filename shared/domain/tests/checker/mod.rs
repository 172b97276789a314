//! How a model is checked, and how it must find the bugs that are planted in it: the same for each
//! of the models in these tests.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, CheckerBuilder, Expectation, HasDiscoveries, Model};

/// A model that several threads can check, and whose steps can be shown.
pub(crate) trait Checked:
    Model<
        State: Hash + Send + Sync + Clone + Debug + PartialEq + 'static,
        Action: Send + Sync + Clone + Debug + PartialEq + 'static,
    > + Send
    + Sync
    + 'static
{
}

/// A planted bug, the property that it breaks, and the instance that shows it.
pub(crate) type Planted<B, M> = (B, &'static str, M);

/// Visits every state, unless one breaks a property; returns what is broken, with a way to it, and
/// what no state has reached.
pub(crate) fn broken<M: Checked>(name: &str, checker: CheckerBuilder<M>) -> Vec<String> {
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    let (states, steps) = (checker.unique_state_count(), checker.state_count());
    println!("{name}: {states} states, {steps} steps");
    let mut found = checker.discoveries();
    let properties = checker.model().properties().into_iter();
    let failures = properties.map(|property| {
        let path = found.remove(property.name);
        match (property.expectation, path) {
            (Expectation::Always | Expectation::Eventually, None) => None,
            (Expectation::Sometimes, Some(_)) => None,
            (Expectation::Sometimes, None) => Some(format!("never: {}", property.name)),
            (_, Some(path)) => Some(format!("not: {}: {:?}", property.name, path.into_actions())),
        }
    });
    failures.flatten().collect()
}

/// Fails unless each bug breaks its property. A short way to each is printed. Without symmetry,
/// since the property is broken soon.
pub(crate) fn assert_found<B: Copy + Debug, M: Checked + Copy>(
    bugs: &[Planted<B, M>],
    planted: impl Fn(M, B) -> M,
) {
    for (bug, property, instance) in bugs {
        let until = HasDiscoveries::AnyOf(BTreeSet::from([*property]));
        let checker = planted(*instance, *bug).checker().finish_when(until).spawn_bfs().join();
        let path = checker.discovery(property);
        let path = path.unwrap_or_else(|| panic!("{bug:?} does not break \"{property}\""));
        println!("{bug:?} breaks \"{property}\": {:?}", path.into_actions());
    }
    println!("{} planted bugs", bugs.len());
}

/// Fails unless each property that always holds is broken by a bug: one that none breaks might be
/// true of anything.
pub(crate) fn assert_all_broken<B, M: Checked>(bugs: &[Planted<B, M>], models: &[M]) {
    let broken: BTreeSet<&str> = bugs.iter().map(|(_, property, _)| *property).collect();
    for property in models.iter().flat_map(Model::properties) {
        let is_broken = broken.contains(property.name);
        assert!(property.expectation != Expectation::Always || is_broken, "{}", property.name);
    }
}
