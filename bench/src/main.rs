// SPDX-License-Identifier: GPL-2.0

//! sg-bench - turns raw results of the demo and the measurements into tables,
//! JSON files and pictures.
//!
//! A benchmark has three parts: `guest/NAME` measures and writes raw results,
//! one JSON object a line; a module of that name here makes rows of them; and
//! `../run` knows how to start both. Only what needs no guest, as it is nothing
//! but computing, is measured here: `spread_measure` does. This program starts
//! nothing.

mod canvas;
mod change;
mod change_picture;
mod failover;
mod failover_picture;
mod forward;
mod forward_picture;
mod heartbeat;
mod heartbeat_picture;
mod hook;
mod hook_picture;
mod hung;
mod latency_picture;
mod load;
mod members;
mod members_picture;
mod neighbour;
mod neighbour_picture;
mod owner;
mod owner_picture;
mod panels;
mod random;
mod restart;
mod restart_picture;
mod rewrite;
mod rewrite_picture;
mod row;
mod spread;
mod spread_measure;
mod spread_picture;
mod spread_ports;
mod spread_traffic;
mod stall;
mod stall_picture;
mod stats;
mod uneven;

use row::Row;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: sg-bench demo RAW SVG
       sg-bench change|failover|forward|heartbeat|hook|hung|members|neighbour|owner|restart|rewrite|spread|stall|uneven RAW FOLDER
       sg-bench measure spread RUNS RAW";

type Outcome = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["demo", raw, svg] => demo(Path::new(raw), Path::new(svg)),
        ["stall", raw, folder] => stall(Path::new(raw), Path::new(folder)),
        ["change", raw, folder] => change(Path::new(raw), Path::new(folder)),
        ["failover", raw, folder] => failover(Path::new(raw), Path::new(folder)),
        ["forward", raw, folder] => forward(Path::new(raw), Path::new(folder)),
        ["heartbeat", raw, folder] => heartbeat(Path::new(raw), Path::new(folder)),
        ["hook", raw, folder] => hook(Path::new(raw), Path::new(folder)),
        ["hung", raw, folder] => hung(Path::new(raw), Path::new(folder)),
        ["members", raw, folder] => members(Path::new(raw), Path::new(folder)),
        ["neighbour", raw, folder] => neighbour(Path::new(raw), Path::new(folder)),
        ["owner", raw, folder] => owner(Path::new(raw), Path::new(folder)),
        ["restart", raw, folder] => restart(Path::new(raw), Path::new(folder)),
        ["rewrite", raw, folder] => rewrite(Path::new(raw), Path::new(folder)),
        ["spread", raw, folder] => spread(Path::new(raw), Path::new(folder)),
        ["measure", "spread", runs, raw] => measure_spread(runs, Path::new(raw)),
        ["uneven", raw, folder] => uneven(Path::new(raw), Path::new(folder)),
        _ => Err(USAGE.into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("sg-bench: {error}");
        ExitCode::from(2)
    })
}

/// The raw results: one JSON object a line.
fn read<T: DeserializeOwned>(raw: &Path) -> Result<Vec<T>, Box<dyn Error>> {
    let explain = |error: &dyn Error| format!("{}: {error}", raw.display());
    let text = std::fs::read_to_string(raw).map_err(|error| explain(&error))?;
    let results: Result<Vec<T>, _> = text.lines().map(serde_json::from_str).collect();
    let results = results.map_err(|error| explain(&error))?;
    if results.is_empty() {
        return Err(format!("{}: no results", raw.display()).into());
    }
    Ok(results)
}

fn write_json(folder: &Path, name: &str, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let file = folder.join(name).with_extension("json");
    let text = serde_json::to_string_pretty(rows)? + "\n";
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(())
}

fn demo(raw: &Path, svg: &Path) -> Outcome {
    let runs: Vec<stall::Run> = read(raw)?;
    let [stock, grouped] = &runs[..] else {
        return Err(format!("{}: not two runs", raw.display()).into());
    };
    stall::print_comparison(stock, grouped);
    stall_picture::panels(svg, stock, grouped)?;
    Ok(match stall::verdict(stock, grouped) {
        Ok(seen) => {
            println!("{seen}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    })
}

fn stall(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<stall::Run> = read(raw)?;
    let rows = stall::rows(&runs);
    row::print("New connections while one of the workers hangs", &rows);
    write_json(folder, "stall", &rows)?;
    stall_picture::shares(&folder.join("stall.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}

fn change(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<change::Run> = read(raw)?;
    let rows = change::rows(&runs);
    change::report(&rows);
    write_json(folder, "change", &rows)?;
    change_picture::bars(&folder.join("change.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}

fn failover(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<failover::Run> = read(raw)?;
    let rows = failover::rows(&runs);
    failover::report(&rows);
    write_json(folder, "failover", &rows)?;
    failover_picture::bars(&folder.join("failover.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}

fn forward(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<forward::Run> = read(raw)?;
    let rows = forward::rows(&runs);
    forward::report(&runs, &rows);
    write_json(folder, "forward", &rows)?;
    forward_picture::curves(&folder.join("forward.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}

fn heartbeat(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<heartbeat::Run> = read(raw)?;
    let rows = heartbeat::rows(&runs);
    heartbeat::report(&runs, &rows);
    write_json(folder, "heartbeat", &rows)?;
    heartbeat_picture::curves(&folder.join("heartbeat.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}

fn hook(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<hook::Run> = read(raw)?;
    let rows = hook::rows(&runs);
    hook::report(&runs, &rows);
    write_json(folder, "hook", &rows)?;
    hook_picture::bars(&folder.join("hook.svg"), &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn hung(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<load::Run> = read(raw)?;
    hung::report(&runs);
    write_json(folder, "hung", &hung::rows(&runs))?;
    let title = "One of eight workers hangs: how long do clients wait?";
    latency_picture::lines(&folder.join("hung.svg"), &runs, load::Case::Hung, title)?;
    Ok(ExitCode::SUCCESS)
}

fn uneven(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<load::Run> = read(raw)?;
    uneven::report(&runs);
    write_json(folder, "uneven", &uneven::rows(&runs))?;
    let title = "Every second worker takes ten times as long: how long do clients wait?";
    latency_picture::lines(&folder.join("uneven.svg"), &runs, load::Case::Uneven, title)?;
    Ok(ExitCode::SUCCESS)
}

fn restart(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<load::Run> = read(raw)?;
    let rows = restart::rows(&runs);
    restart::report(&runs, &rows);
    write_json(folder, "restart", &rows)?;
    restart_picture::bars(&folder.join("restart.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}

fn members(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<members::Run> = read(raw)?;
    let rows = members::rows(&runs);
    members::report(&runs, &rows);
    write_json(folder, "members", &rows)?;
    members_picture::curve(&folder.join("members.svg"), &members::sizes(&runs), &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn neighbour(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<neighbour::Run> = read(raw)?;
    let rows = neighbour::rows(&runs);
    row::print("An honest service beside a hostile namespace", &rows);
    write_json(folder, "neighbour", &rows)?;
    neighbour_picture::bars(&folder.join("neighbour.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}

fn owner(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<owner::Run> = read(raw)?;
    let rows = owner::rows(&runs);
    owner::report(&runs, &rows);
    write_json(folder, "owner", &rows)?;
    owner_picture::bars(&folder.join("owner.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}

fn rewrite(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<rewrite::Run> = read(raw)?;
    let rows = rewrite::rows(&runs);
    rewrite::report(&runs, &rows);
    write_json(folder, "rewrite", &rows)?;
    rewrite_picture::bars(&folder.join("rewrite.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}

fn measure_spread(runs: &str, raw: &Path) -> Outcome {
    let runs = runs.parse().map_err(|_| USAGE)?;
    spread_measure::measure(runs, raw)?;
    Ok(ExitCode::SUCCESS)
}

fn spread(raw: &Path, folder: &Path) -> Outcome {
    let runs: Vec<spread::Run> = read(raw)?;
    spread::report(&runs);
    write_json(folder, "spread", &spread::rows(&runs))?;
    spread_picture::panels(&folder.join("spread.svg"), &runs)?;
    Ok(ExitCode::SUCCESS)
}
