mod drawn;

use std::collections::BTreeSet;
use std::env;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use artifact::{Base, ParityFile, Segment, WorkDir};
use bundler::fetch::HttpOptions;
use bundler::mirror::Mirrors;
use bundler::{BundleError, Kubexm, LockMode, Plan, Report as Made, Request, Since, Update};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;
use event::{Event, Events, Outcome, RunOutcome, Unit};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::drawn::drawn;
use crate::args::{BundleArgs, UpdateArg, UpgradeFrom};
use crate::config::{self, Config};
use crate::error::{Exit, Failure};
use crate::output::{Format, Printer, Report, bytes, count};
use crate::secrets::LocalSecrets;
use crate::told_versions::{self, ToldVersions};
use crate::{home, input, runtime, signals, signing};

/// Enough to fill a line, few enough for upstream's patience.
const JOBS: NonZeroU16 = NonZeroU16::new(8).unwrap();

pub fn run(args: &BundleArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    config.require_bundle(&args.arch)?;
    let warning = config.not_yet_acting();
    let from = args.upgrade_from.as_ref().map(told_versions).transpose()?;
    for mixed in from.iter().flat_map(|from| &from.notes) {
        printer.warning(mixed);
    }
    let request = Request {
        upgrade_from: from.map(|from| from.kubernetes),
        ..request(args, config)?
    };
    let tree = request.work_dir.tree(request.cluster.name());
    let report = Arc::new(Report::in_dir(tree.state()));
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let events = if args.dry_run {
        printer.work()
    } else {
        printer.run(vec![report.clone()])
    };
    let cancel = signals::watch(events.clone())?;
    if let Some(text) = warning {
        events.warn(text, None);
    }
    if args.dry_run {
        let plan = runtime.block_on(bundler::plan(&request, &events, &cancel))?;
        drop(events);
        return show(&plan, printer);
    }
    let made = runtime.block_on(make(request, &events, &cancel, printer));
    printer.reported(&report);
    tell(&made?, printer)
}

fn told_versions(from: &UpgradeFrom) -> Result<ToldVersions, Failure> {
    match from {
        UpgradeFrom::Version(version) => Ok(ToldVersions {
            kubernetes: version.clone(),
            notes: Vec::new(),
        }),
        UpgradeFrom::File(path) => told_versions::read(path, &input::read_to_string(path)?),
    }
}

async fn make(
    request: Request,
    events: &Events,
    cancel: &CancellationToken,
    printer: &Printer,
) -> Result<Made, Failure> {
    let began = Instant::now();
    let cluster = request.cluster.name().to_owned();
    let prepared = bundler::prepare(request, events, cancel)
        .await
        .map_err(|error| unprepared(error, cluster, began.elapsed(), events))?;
    if printer.format() == Format::Text {
        events.note(drawn(prepared.plan()));
    }
    prepared.run(events, cancel).await.map_err(told)
}

/// The end of a run of which it is not even known what it takes: it has a summary and a report as any other. None where
/// nothing was touched.
fn unprepared(error: BundleError, cluster: String, took: Duration, events: &Events) -> Failure {
    let is_busy = matches!(error, BundleError::Busy { .. });
    let failure = Failure::from(error);
    let (end, run) = match failure.exit() {
        Exit::Usage => return failure,
        _ if is_busy => return failure,
        Exit::Interrupted => (Outcome::Interrupted, RunOutcome::Interrupted),
        Exit::Failed | Exit::Unverified => {
            let (error, hint) = (failure.to_string(), failure.hint());
            (Outcome::Failed { error, hint }, RunOutcome::Failed)
        }
    };
    let id = events.next_id();
    let unit = Unit {
        id,
        stage: "plan".to_owned(),
        task: None,
        host: None,
        title: "work out what the bundle holds".to_owned(),
        bytes: None,
        after: None,
    };
    let failed = u64::from(run == RunOutcome::Failed);
    let (command, outcome) = ("bundle".to_owned(), end);
    for event in [
        Event::RunStarted {
            command,
            cluster,
            units: 1,
        },
        Event::Started(unit),
        Event::Finished { id, outcome, took },
        Event::RunFinished {
            outcome: run,
            took,
            changed: 0,
            satisfied: 0,
            failed,
            skipped: 1 - failed,
        },
    ] {
        events.emit(&event);
    }
    match run {
        RunOutcome::Interrupted => Failure::Told(Exit::Interrupted),
        RunOutcome::Failed | RunOutcome::Done => Failure::Summed(Box::new(failure)),
    }
}

/// The end of a run that has told its failures.
pub(super) fn told(error: BundleError) -> Failure {
    match error {
        // Each of them is a unit of the run, and in its summary.
        error @ BundleError::Fetch(_) => Failure::Told(Failure::from(error).exit()),
        error if error.is_interrupted() => Failure::Told(Exit::Interrupted),
        error => Failure::from(error),
    }
}

/// Everything that `bundler` is told, from the arguments, the config and this machine.
pub(super) fn request(args: &BundleArgs, config: Config) -> Result<Request, Failure> {
    let cluster = config.parsed.cluster;
    let access = bundler::registry_access(&cluster, &LocalSecrets)?;
    let flags = Mirrors::parse(args.mirror.iter().map(String::as_str))?;
    let environment = env::var("KUBEXM_MIRROR").unwrap_or_default();
    let environment = Mirrors::parse_list(&environment).map_err(|error| Failure::Usage {
        message: format!("KUBEXM_MIRROR: {error}"),
        hint: error.hint(),
    })?;
    let lock_mode = if args.locked {
        LockMode::Locked
    } else {
        LockMode::Pin
    };
    Ok(Request {
        arches: args.arch.iter().copied().collect(),
        upgrade_from: None,
        work_dir: WorkDir::new(args.work_dir.clone()),
        lock: config.name.with_file_name("kubexm.lock"),
        lock_mode,
        update: args.update.map_or_else(BTreeSet::new, updates),
        out: out(args, cluster.name()),
        segment_size: args.segment_size,
        parity: args.parity,
        since: args.since.as_deref().map(since).transpose()?,
        mirrors: flags.or(environment),
        http: HttpOptions::default(),
        jobs: args.jobs.unwrap_or(JOBS).into(),
        access,
        keyrings: args
            .keyring
            .iter()
            .map(|path| keyring(path))
            .collect::<Result<_, _>>()?,
        signer: args.sign.as_deref().map(signing::signer).transpose()?,
        kubexm: travelling(),
        cluster,
    })
}

fn updates(asked: UpdateArg) -> BTreeSet<Update> {
    match asked {
        UpdateArg::Systems => [Update::Systems].into(),
        UpdateArg::Images => [Update::Images].into(),
        UpdateArg::All => [Update::Systems, Update::Images].into(),
    }
}

fn since(path: &Utf8Path) -> Result<Since, Failure> {
    let path = home::expand(path);
    let base = Base::open(&path)?;
    Ok(Since { path, base })
}

/// `<cluster>.tar.zst`, here or in the directory that is named. A delta does not take the place of a whole bundle.
fn out(args: &BundleArgs, cluster: &str) -> Utf8PathBuf {
    let kind = args.since.as_ref().map_or("", |_| ".delta");
    let name = format!("{cluster}{kind}.tar.zst");
    match args.out.as_deref() {
        None => name.into(),
        Some(path) if path.is_dir() => path.join(name),
        Some(path) => path.to_owned(),
    }
}

fn keyring(path: &Utf8Path) -> Result<String, Failure> {
    input::read_to_string(&home::expand(path))
}

fn travelling() -> Vec<Kubexm> {
    let own = env::current_exe().ok();
    let here = env::consts::ARCH.parse::<Arch>().ok();
    own.and_then(|path| Utf8PathBuf::try_from(path).ok())
        .map_or_else(Vec::new, |own| programs_beside(&own, here))
}

/// This very program, which is the first, and those for other machines that lie beside it: `kubexm-linux-<arch>` as
/// `make dist` calls them, or `kubexm-<arch>` as `bundle` puts them beside a bundle.
fn programs_beside(own: &Utf8Path, here: Option<Arch>) -> Vec<Kubexm> {
    let beside = |arch: Arch| {
        let names = [format!("kubexm-linux-{arch}"), format!("kubexm-{arch}")];
        let mut paths = names.iter().map(|name| own.with_file_name(name));
        let path = paths.find(|path| path.is_file())?;
        Some(Kubexm { arch, path })
    };
    let this = here.map(|arch| Kubexm {
        arch,
        path: own.to_owned(),
    });
    let others = Arch::ALL.into_iter().filter(|arch| Some(*arch) != here);
    this.into_iter().chain(others.filter_map(beside)).collect()
}

fn show(plan: &Plan, printer: &Printer) -> Result<(), Failure> {
    match printer.format() {
        Format::Json => printer.document(plan)?,
        Format::Text => printer.result(drawn(plan))?,
    }
    Ok(())
}

/// The result as data.
#[derive(Serialize)]
struct Bundled<'a> {
    event: &'static str,
    file: &'a Utf8Path,
    size: u64,
    digest: String,
    /// How many of the files are in it.
    carried: usize,
    files: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    segments: Vec<&'a Utf8Path>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parity: Vec<&'a Utf8Path>,
    kubexm: &'a [Utf8PathBuf],
}

fn tell(made: &Made, printer: &Printer) -> Result<(), Failure> {
    let (file, digest, kubexm) = (
        made.out.as_path(),
        made.digest.oci(),
        made.kubexm.as_slice(),
    );
    let (carried, files) = made.carried;
    if printer.format() == Format::Json {
        let bundled = Bundled {
            event: "bundled",
            file,
            size: made.size,
            digest,
            carried,
            files,
            segments: made.segments.iter().map(|one| one.path.as_path()).collect(),
            parity: made.parity.iter().map(|one| one.path.as_path()).collect(),
            kubexm,
        };
        return Ok(printer.document(&bundled)?);
    }
    let part = if carried == files {
        String::new()
    } else {
        format!("; {carried} of {}", count(files as u64, "file"))
    };
    printer.result(format_args!("{file}: {}, {digest}{part}", bytes(made.size)))?;
    for Segment { path, size, files } in &made.segments {
        printer.result(format_args!(
            "{path}: {}, {}",
            bytes(*size),
            count(*files as u64, "file")
        ))?;
    }
    for ParityFile { path, size, blocks } in &made.parity {
        printer.result(format_args!(
            "{path}: {}, parity for {}",
            bytes(*size),
            count(*blocks as u64, "block")
        ))?;
    }
    for program in kubexm {
        printer.result(format_args!("{program}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_for_other_machines_travel_by_either_name() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let own = dir.join("kubexm-linux-amd64");
        let found = || {
            let programs = programs_beside(&own, Some(Arch::Amd64)).into_iter();
            let line =
                |kubexm: Kubexm| format!("{} {}", kubexm.arch, kubexm.path.file_name().unwrap());
            programs.map(line).collect::<Vec<_>>()
        };
        assert_eq!(found(), ["amd64 kubexm-linux-amd64"]);
        std::fs::write(dir.join("kubexm-arm64"), "").unwrap();
        assert_eq!(found(), ["amd64 kubexm-linux-amd64", "arm64 kubexm-arm64"]);
        std::fs::write(dir.join("kubexm-linux-arm64"), "").unwrap();
        assert_eq!(
            found(),
            ["amd64 kubexm-linux-amd64", "arm64 kubexm-linux-arm64"]
        );
    }
}
