use std::sync::Arc;

use engine::{Order, StepError, Task};
use step::{APPLIED_CONFIG, APPLIED_CONTENTS, Content, NoteLocally, NoteOnHost};

use crate::site::names;
use crate::{OPERATOR, Site};

/// What was applied, as a whole and well: on the masters, and beside the tree that it was applied from.
#[must_use]
pub fn note_applied(site: &Site) -> Task {
    let cluster = Arc::new(site.cluster.clone());
    let config = || {
        let cluster = cluster.clone();
        Content::Late {
            takes: Vec::new(),
            render: Arc::new(move || {
                let text = cluster.to_yaml();
                text.map_err(|error| StepError::new(error.to_string()))
            }),
        }
    };
    let contents = || Content::Local(site.tree.contents());
    let (local_config, local_manifest) = (site.tree.applied_config(), site.tree.applied_contents());
    Task::new("applied config")
        .on_each(&names(site.masters()), |_| {
            vec![
                Arc::new(NoteOnHost::new(
                    APPLIED_CONFIG,
                    config(),
                    local_config.clone(),
                )),
                Arc::new(NoteOnHost::new(
                    APPLIED_CONTENTS,
                    contents(),
                    local_manifest.clone(),
                )),
            ]
        })
        .then(Order::AllHosts)
        .on(
            OPERATOR,
            vec![
                Arc::new(NoteLocally {
                    path: local_config.clone(),
                    content: config(),
                }),
                Arc::new(NoteLocally {
                    path: local_manifest.clone(),
                    content: contents(),
                }),
            ],
        )
}
