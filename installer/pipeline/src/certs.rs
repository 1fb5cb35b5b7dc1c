use std::fs;
use std::io::ErrorKind;

use engine::{DryState, Graph, Inventory, Plan, Slot};
use jiff::Timestamp;
use module::{CertificateSeen, OPERATOR, OffsetDateTime, Site};
use tokio_util::sync::CancellationToken;

use crate::PipelineError;

/// Every certificate of the operator's machine and of each host, or why a host does not tell.
pub async fn certificates(
    site: &Site,
    inventory: &Inventory,
    jobs: usize,
    cancel: &CancellationToken,
) -> Result<Vec<(String, Result<Vec<CertificateSeen>, String>)>, PipelineError> {
    let names = site.cluster.spec.hosts.iter().map(|host| host.name.clone());
    let hosts: Vec<(String, Slot<Vec<CertificateSeen>>)> = [OPERATOR.to_owned()]
        .into_iter()
        .chain(names)
        .map(|name| (name.clone(), Slot::new(&name)))
        .collect();
    let stages = vec![module::certificates(site, &hosts)];
    let graph = Graph::of(Plan::new("certs check", stages))?;
    let asked = engine::dry_run(&graph, inventory, jobs, cancel).await;
    let why = |host: &str| {
        let of_host = asked.iter().find(|dry| dry.node.host == host);
        match of_host.map(|dry| &dry.state) {
            Some(DryState::Unknown { because }) => because.clone(),
            _ => "it was not asked".to_owned(),
        }
    };
    let seen = hosts.iter().map(|(name, slot)| {
        let seen = slot.get().cloned();
        (name.clone(), seen.ok_or_else(|| why(name)))
    });
    Ok(seen.collect())
}

/// A renewal of all certificates, or the rest of one that was cut short. Tells since when it is under way.
pub fn renew(mut site: Site) -> Result<(Site, Graph, Timestamp), PipelineError> {
    let note = module::renewal_note(&site);
    let begun = match fs::read_to_string(&note) {
        Ok(text) => text.trim().parse::<Timestamp>().ok(),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(source) => return Err(PipelineError::Read { path: note, source }),
    };
    // Certificates know seconds alone.
    let now = Timestamp::now().as_second();
    let since =
        begun.unwrap_or_else(|| Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH));
    site.renewal = OffsetDateTime::from_unix_timestamp(since.as_second()).ok();
    let stages = module::renew_certificates(&site, &since.to_string());
    let graph = Graph::of(Plan::new("certs renew", stages))?;
    Ok((site, graph, since))
}

/// Asks every host for its certificates, and nothing else.
pub fn certificates_look(site: &Site) -> Result<Graph, PipelineError> {
    let names = site.cluster.spec.hosts.iter().map(|host| host.name.clone());
    let hosts: Vec<_> = names.map(|name| (name.clone(), Slot::new(&name))).collect();
    let stages = vec![module::certificates(site, &hosts)];
    Ok(Graph::of(Plan::new("certs check", stages))?)
}
