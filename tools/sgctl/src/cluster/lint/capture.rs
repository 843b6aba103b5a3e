// SPDX-License-Identifier: GPL-2.0
//! The frames of a pcap or pcapng file.

use std::fmt::Display;
use std::fs::File;
use std::path::Path;

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{create_reader, Block, Linktype, PcapBlockOwned, PcapError};

use super::flows::Flows;
use super::frames::packet;
use super::progress::Progress;
use crate::{output, Failure};

/// Room for the largest block: frames of 256 KiB and their options.
const BUFFER: usize = 1 << 20;

/// Adds the flows of a capture.
pub fn read(path: &Path, flows: &mut Flows) -> Result<(), Failure> {
    let sentence = |error: &dyn Display| format!("{} cannot be read: {error}", path.display());
    let named = |error: &dyn Display| Failure::usage(sentence(error));
    let unreadable = |error: &dyn Display| {
        let error = format!("{error}: name a capture that can be");
        Failure::new(sentence(&error))
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let size = file.metadata().map(|it| it.len()).unwrap_or_default();
    let nothing = "it gives no bytes";
    let foreign = "it is no pcap or pcapng file, or it is cut off at its beginning";
    let mut reader = create_reader(BUFFER, file).map_err(|error| match error {
        PcapError::ReadError => unreadable(&nothing),
        _ => named(&foreign),
    })?;
    let mut progress = Progress::new();
    let mut links = Vec::new();
    let mut done = 0u64;
    loop {
        match reader.next() {
            Ok((length, block)) => {
                take(&block, &mut links, flows);
                reader.consume(length);
                done += u64::try_from(length).unwrap_or_default();
                progress.tell(|| state(done, size, flows));
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => reader.refill().map_err(|error| match error {
                PcapError::ReadError => unreadable(&nothing),
                _ => named(&"a block is larger than 1 MiB"),
            })?,
            Err(PcapError::UnexpectedEof) => {
                eprintln!("sgctl: {} is cut off: what is there counts", path.display());
                return Ok(());
            }
            Err(error) => {
                return Err(named(&format!("it is broken behind byte {done} ({error})")));
            }
        }
    }
}

fn state(done: u64, size: u64, flows: &Flows) -> String {
    let percent = done.saturating_mul(100).checked_div(size).unwrap_or(0);
    format!("{percent} % read, {}", output::count(flows.len(), "flow"))
}

/// Takes a block; `links` are those of its section's interfaces.
fn take(block: &PcapBlockOwned<'_>, links: &mut Vec<Linktype>, flows: &mut Flows) {
    match block {
        PcapBlockOwned::LegacyHeader(header) => *links = vec![header.network],
        PcapBlockOwned::Legacy(frame) => add(flows, links.first(), frame.data, frame.origlen),
        PcapBlockOwned::NG(Block::SectionHeader(_)) => links.clear(),
        PcapBlockOwned::NG(Block::InterfaceDescription(it)) => links.push(it.linktype),
        PcapBlockOwned::NG(Block::EnhancedPacket(frame)) => {
            let place = usize::try_from(frame.if_id).unwrap_or(usize::MAX);
            add(flows, links.get(place), frame.packet_data(), frame.origlen);
        }
        PcapBlockOwned::NG(Block::SimplePacket(frame)) => {
            add(flows, links.first(), frame.packet_data(), frame.origlen);
        }
        PcapBlockOwned::NG(_) => {}
    }
}

fn add(flows: &mut Flows, link: Option<&Linktype>, frame: &[u8], length: u32) {
    let Some(given) = link.and_then(|link| packet(*link, frame)) else {
        return flows.leave_out();
    };
    let length = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .max(frame.len());
    flows.add(given, length - (frame.len() - given.len()));
}
