//! Tests by audience.
