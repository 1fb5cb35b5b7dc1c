//! kubexm against the tools that people would script instead, in one run on one machine.
//!
//! What is measured runs as a child process, ours like theirs: `bench act …` is the library's call as the program
//! makes it, and nothing else. See docs/benchmarks.md.

mod acts;
mod contest;
mod contests;
mod data;
mod images;
mod machine;
mod measure;
mod scale;
mod services;
mod table;

use std::fs::{self, File};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Parser, Subcommand, ValueEnum};

use acts::Act;
use contest::Contest;
use contests::{Pack, Push, Unpack, Upload};
use data::Data;
use table::Table;

/// Compares kubexm with the tools that people would script instead.
#[derive(Parser)]
#[command(name = "bench")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many megabytes the tree has.
    #[arg(long, default_value_t = 1024)]
    size: u64,
    /// How many megabytes are uploaded to each of four hosts.
    #[arg(long, default_value_t = 200)]
    upload: u64,
    /// How often everything is measured; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Which>,
    /// Where everything happens; needs seven times the size.
    #[arg(long, default_value = "/var/tmp/kubexm-bench")]
    dir: Utf8PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Tells how plans and runs grow with the hosts: 100, 1,000 and 5,000 of them.
    Scale {
        /// The program whose plans are measured.
        #[arg(long, default_value = "target/release/kubexm")]
        kubexm: Utf8PathBuf,
    },
    /// Does one act of kubexm, to be measured.
    #[command(subcommand, hide = true)]
    Act(Act),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Pack,
    Unpack,
    Push,
    Upload,
}

const MB: u64 = 1_000_000;

fn main() -> Result<()> {
    let args = Args::parse();
    match &args.command {
        Some(Command::Act(act)) => act.run(),
        Some(Command::Scale { kubexm }) => {
            let work = args.dir.join("scale");
            fs::create_dir_all(&args.dir)?;
            emptied(&work)?;
            println!(
                "{}\n\n{}",
                machine::describe(),
                scale::table(kubexm, &work)?
            );
            remove(&work)
        }
        None => compare(&args),
    }
}

fn compare(args: &Args) -> Result<()> {
    fs::create_dir_all(&args.dir)?;
    let lock = File::create(args.dir.join("lock"))?;
    lock.try_lock()
        .with_context(|| format!("another benchmark runs in {}", args.dir))?;
    let work = args.dir.join("work");
    // What a run that was killed left behind.
    remove(&work)?;
    fs::create_dir(&work)?;

    println!("{}", machine::describe());
    let data = Data::make(&work, &args.dir.join("programs"), args.size * MB)?;
    println!("{}\n", data.describe());

    let wanted = |which| args.only.is_empty() || args.only.contains(&which);
    let mut contests: Vec<Box<dyn Contest + '_>> = Vec::new();
    if wanted(Which::Pack) {
        contests.push(Box::new(Pack::new(&data)?));
    }
    if wanted(Which::Unpack) {
        contests.push(Box::new(Unpack::new(&data)?));
    }
    if wanted(Which::Push) {
        contests.push(Box::new(Push::new(&data)?));
    }
    if wanted(Which::Upload) {
        contests.push(Box::new(Upload::new(&data, args.upload * MB)?));
    }
    let mut table = Table::default();
    for mut contest in contests {
        let scores = contest::hold(contest.as_mut(), args.rounds, &work.join("log"))?;
        table.add(&contest.title(), &scores);
    }
    println!(
        "\nMedians of {}; below 1.00 kubexm needs less.\n\n{table}\nload average at the end: {}",
        args.rounds,
        machine::load()
    );
    remove(&work)
}

/// Removes a directory with all in it, if it is there.
fn remove(path: &Utf8Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {path}"))
        }
        _ => Ok(()),
    }
}

/// An empty directory under this name.
fn emptied(path: &Utf8Path) -> Result<()> {
    remove(path)?;
    fs::create_dir(path).with_context(|| format!("making {path}"))
}
