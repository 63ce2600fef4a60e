//! cluster-bootstrapper on the command line.

fn main() {}
