use std::process;

use artifact::SpaceNeed;
use pipeline::{
    Emptying, Graph, Living, OffsetDateTime, Options, PipelineError, Return, Scope, Session, Site,
    Stand, Undertaking, Way,
};

use tokio_util::sync::CancellationToken;

use crate::args::UpgradeClusterArgs;
use crate::confirm::Question;
use crate::error::Failure;
use crate::output::{Format, Printer};
use crate::run::Run;
use crate::{access, bundles, claim, config, dry, runtime, set, signals, site};

/// The word of --only that is no node.
const CONTROL_PLANE: &str = "control-plane";

/// What will be done, and what is to be known of it.
struct Course {
    graph: Graph,
    /// Only asks the hosts what it needs of them.
    looking: Graph,
    told: String,
    /// What shall happen, as the question has it.
    what: String,
    remarks: Vec<String>,
    snapshots: Option<SpaceNeed>,
}

pub fn run(args: &UpgradeClusterArgs, printer: &Printer) -> Result<(), Failure> {
    let bundles = set::open(&args.files, printer)?;
    let bundle = &bundles[0];
    if let Some(signers) = &args.signers {
        let by = bundles::signed_by(bundle, signers)?;
        bundles::warn_of_end(&by, printer);
    }
    let config = config::load(&args.config, printer)?;
    let cluster = config.parsed.cluster.clone();
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let doubts = site::doubts(bundle.contents(), cluster.name(), &args.work_dir);
    let site = site::site(cluster, bundle.contents().clone(), &args.work_dir)?;
    if let Some(before) = site::applied(&site, printer) {
        pipeline::insist_on_versions(&before.cluster, &site.cluster)?;
    }
    let access = if args.dry_run {
        access::of(&args.access)
    } else {
        access::recorded(&args.access, &site.tree)
    };
    let inventory = pipeline::inventory(&site.cluster, &access)?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let jobs = runtime::jobs(args.jobs);
    // Nothing has begun yet: an interrupt ends the process.
    let idle = CancellationToken::new();
    let look = || -> Result<Course, Failure> {
        let living = runtime.block_on(pipeline::look(&site, &inventory, jobs, &idle))?;
        Ok(course(args, &site, &living)?)
    };
    let mut course = look()?;
    let doubts = doubts.iter().map(|(doubt, _)| doubt);
    for remark in doubts.chain(&course.remarks) {
        printer.warning(remark);
    }
    if args.dry_run {
        if printer.format() == Format::Text {
            printer.result(&course.told)?;
        }
        let cancel = signals::watch(printer.work())?;
        let nodes = pipeline::dry_run(&course.graph, &inventory, jobs, &cancel);
        return dry::show(&runtime.block_on(nodes), printer);
    }
    if !args.yes {
        let name = site.cluster.name();
        Question {
            what: course.what.clone(),
            told: format!("{}\nType the cluster's name to go on:", course.told),
            word: name,
            of: "the cluster's name",
        }
        .ask(printer)?;
        let asked = course.told;
        course = look()?;
        if course.told != asked {
            return Err(PipelineError::ChangedMeanwhile(name.to_owned()).into());
        }
    }
    let session = Session::begin(&site.tree, &format!("upgrade, process {}", process::id()))?;
    let leasing = claim::leasing("upgrade", &site, args.lease.stale())?;
    let unpacked = SpaceNeed::to_unpack(bundle.contents(), &site.tree);
    let needs: Vec<SpaceNeed> = [unpacked].into_iter().chain(course.snapshots).collect();
    artifact::check_space(&needs)?;
    let run = Run {
        command: "upgrade",
        cluster: site.cluster.name(),
        units: course.graph.len() + 1,
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        if args.yes {
            events.note(course.told.clone());
        }
        let cancel = signals::watch(events.clone())?;
        let flag = signals::flag(&cancel);
        bundles::unpack_all(&bundles, &site.tree, runtime::threads(), events, &flag)?;
        let options = Options {
            bundle: bundle.digest().to_string(),
            jobs,
            inject_error: args.inject_error.clone(),
        };
        // Whoever had the lease until now may have changed what this run was judged by.
        let still = async {
            let living = pipeline::look(&site, &inventory, jobs, &cancel).await?;
            if self::course(args, &site, &living)?.told == course.told {
                Ok(())
            } else {
                Err(PipelineError::ChangedMeanwhile(
                    site.cluster.name().to_owned(),
                ))
            }
        };
        let undertaking = Undertaking {
            graph: &course.graph,
            looking: &course.looking,
            still: Some(Box::pin(still)),
        };
        let ran = session.run_alone(undertaking, &leasing, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })
}

fn course(
    args: &UpgradeClusterArgs,
    site: &Site,
    living: &Living,
) -> Result<Course, PipelineError> {
    let emptying = Emptying {
        patience: args.drain_timeout,
        unavailable: args.max_unavailable,
        held: args.held_pods.into(),
    };
    let name = site.cluster.name();
    if let Some(node) = &args.rollback {
        let back = pipeline::way_back(site, living, node, emptying.held)?;
        return Ok(Course {
            graph: pipeline::roll_back(site, &back, emptying)?,
            looking: pipeline::look_back(site, &back, emptying)?,
            told: told_back(&back),
            what: format!("{node} of {name} shall go back to an older release"),
            remarks: Vec::new(),
            snapshots: None,
        });
    }
    let now = OffsetDateTime::now_utc();
    let way = pipeline::judge(site, living, scope(&args.only), emptying.held, now)?;
    Ok(Course {
        graph: pipeline::upgrade(site, &way, emptying)?,
        looking: pipeline::before_upgrade(site, &way, emptying)?,
        told: told(&way),
        what: format!("{name} shall be upgraded"),
        snapshots: Some(way.snapshot_space(site)),
        remarks: way.remarks,
    })
}

fn scope(only: &[String]) -> Scope {
    match only {
        [] => Scope::Whole,
        [word] if word == CONTROL_PLANE => Scope::ControlPlane,
        nodes => Scope::Nodes(nodes.to_vec()),
    }
}

/// The hops, and what each of them does.
fn told(way: &Way) -> String {
    let mut lines = vec![format!("Kubernetes {}", way.from)];
    for (release, stand) in &way.hops {
        let begun = match stand {
            Stand::Ahead => "",
            Stand::Begun => ", begun before",
        };
        lines.push(format!("  -> {}{begun}", release.kubernetes));
    }
    lines.push(match &way.scope {
        Scope::Whole => {
            "Each hop: a snapshot of etcd is kept here; images; etcd, the control plane and the kubelets of the masters, one \
             master at a time; the workers: drained, changed, heard of again, given back."
                .to_owned()
        }
        Scope::ControlPlane => {
            "Each hop: a snapshot of etcd is kept here; images; etcd, the control plane and the kubelets of the masters, one \
             master at a time. The workers stay as they are: run it without --only to end the upgrade."
                .to_owned()
        }
        Scope::Nodes(nodes) => format!(
            "Of {} alone: drained, changed, heard of again, given back. Run it without --only to end the upgrade.",
            nodes.join(", ")
        ),
    });
    lines.join("\n")
}

fn told_back(back: &Return) -> String {
    let emptied = if back.keeps_pods {
        "it is not drained, since it is not Ready or no other node takes its pods"
    } else {
        "drained first"
    };
    format!(
        "{} {}\n  -> {}\nIts kubelet and what belongs to it alone, {emptied}. All else stays as it is.",
        back.node, back.from, back.release.kubernetes
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_the_control_plane_or_nodes() {
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            scope(&words)
        };
        assert_eq!(of(&[]), Scope::Whole);
        assert_eq!(of(&["control-plane"]), Scope::ControlPlane);
        let nodes = vec!["w1".to_owned(), "w2".to_owned()];
        assert_eq!(of(&["w1", "w2"]), Scope::Nodes(nodes));
    }
}
