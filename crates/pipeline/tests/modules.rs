//! No module of any crate uses one that uses it, directly or by others.

use std::path::Path;

use module_graph::Graph;
use pipeline::workspace::Workspace;

#[test]
fn no_module_uses_one_that_uses_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = Workspace::read(&root).unwrap();
    let (mut members, mut modules) = (0, 0);
    for (name, directory) in workspace.members() {
        let graph = Graph::of_member(name, &directory.join("src")).unwrap();
        assert_eq!(graph.circles(), [[""; 0]; 0], "{name}");
        members += 1;
        modules += graph.uses().len();
    }
    // That they were found.
    assert!(members > 10 && modules > 350, "{members}, {modules}");
}
