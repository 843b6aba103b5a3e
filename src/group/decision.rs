// SPDX-License-Identifier: GPL-2.0

//! What became of connections that did not stay with their home listener: remembered for a while,
//! and traced.

#![forbid(unsafe_code)]

use super::Group;
use crate::{
    logic::select::Reason,
    sys::{
        core::{
            clock::{now, NS_OF_MS}, //
            netlink::Request,
        },
        socket::{
            flowlog::{trace_decision, Flow, Record}, //
            listener::Sock,
        },
        uapi, //
    },
};
use kernel::prelude::*;

/// What was done with a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Redirected,
    Handed,
    Rescued,
    Dropped,
    Reset,
    Spilled,
}

impl Done {
    fn number(self) -> u32 {
        match self {
            Self::Redirected => uapi::service_group_outcome_SERVICE_GROUP_OUTCOME_REDIRECTED,
            Self::Handed => uapi::service_group_outcome_SERVICE_GROUP_OUTCOME_HANDED,
            Self::Rescued => uapi::service_group_outcome_SERVICE_GROUP_OUTCOME_RESCUED,
            Self::Dropped => uapi::service_group_outcome_SERVICE_GROUP_OUTCOME_DROPPED,
            Self::Reset => uapi::service_group_outcome_SERVICE_GROUP_OUTCOME_RESET,
            Self::Spilled => uapi::service_group_outcome_SERVICE_GROUP_OUTCOME_SPILLED,
        }
    }
}

/// Why.
#[derive(Clone, Copy)]
pub(crate) enum Why {
    /// Decided at the SYN.
    Select(Reason),
    /// The accept queue overflowed between SYN and ACK.
    Overflow,
    /// No member had room.
    Full,
    /// No member that could serve it had room.
    Unfit,
}

impl Why {
    fn number(self) -> u32 {
        match self {
            Self::Select(Reason::QueueFull) => {
                uapi::service_group_reason_SERVICE_GROUP_REASON_QUEUE_FULL
            }
            Self::Select(Reason::Promised) => {
                uapi::service_group_reason_SERVICE_GROUP_REASON_PROMISED
            }
            Self::Select(Reason::Stalled) => {
                uapi::service_group_reason_SERVICE_GROUP_REASON_STALLED
            }
            Self::Select(Reason::Balanced) => {
                uapi::service_group_reason_SERVICE_GROUP_REASON_BALANCED
            }
            Self::Select(Reason::Leaving) => {
                uapi::service_group_reason_SERVICE_GROUP_REASON_LEAVING
            }
            Self::Overflow => uapi::service_group_reason_SERVICE_GROUP_REASON_OVERFLOW,
            Self::Full => uapi::service_group_reason_SERVICE_GROUP_REASON_FULL,
            Self::Unfit => uapi::service_group_reason_SERVICE_GROUP_REASON_UNFIT,
        }
    }
}

impl Group {
    /// Remembers and traces what was done with a connection of the member `from`.
    pub(super) fn note(&self, flow: &Flow, done: Done, why: Why, from: &Sock, to: Option<&Sock>) {
        let from = from.cookie();
        let record = self.flowlog.with(flow, |slot| {
            // A connection that is moved was there before; a SYN is a new one's.
            let known = matches!(done, Done::Handed | Done::Rescued) && slot.flow == *flow;
            *slot = Record {
                flow: *flow,
                group: self.id,
                outcome: done.number(),
                reason: why.number(),
                moves: if known { slot.moves } else { 0 }.saturating_add(u32::from(to.is_some())),
                home: if known { slot.home } else { from },
                target: to.map_or(0, Sock::cookie),
                time: now(),
            };
            *slot
        });
        trace_decision(&record, from);
    }

    fn recall(&self, flow: &Flow) -> Option<Record> {
        self.flowlog
            .with(flow, |record| (record.flow == *flow).then_some(*record))
    }
}

/// `decision-get`. `EINVAL` if the request does not name a connection, `ENOENT` if nothing is
/// remembered of it.
pub(crate) fn get(request: &Request) -> Result {
    let flow = asked_for(request).ok_or(EINVAL)?;
    let registry = request.net().registry();
    let record = registry.groups().find_map(|group| group.recall(&flow));
    tell(request, &record.ok_or(ENOENT)?)
}

fn asked_for(request: &Request) -> Option<Flow> {
    let family = request.u16(uapi::SERVICE_GROUP_A_DECISION_FAMILY)?;
    let len = match family {
        2 => 4,
        10 => 16,
        _ => return None,
    };
    Some(Flow {
        family,
        local_port: request.port(uapi::SERVICE_GROUP_A_DECISION_LOCAL_PORT)?,
        peer_port: request.port(uapi::SERVICE_GROUP_A_DECISION_PEER_PORT)?,
        local: request.address(uapi::SERVICE_GROUP_A_DECISION_LOCAL_ADDRESS, len)?,
        peer: request.address(uapi::SERVICE_GROUP_A_DECISION_PEER_ADDRESS, len)?,
    })
}

fn tell(request: &Request, record: &Record) -> Result {
    let pad = uapi::SERVICE_GROUP_A_DECISION_PAD;
    let age = now().saturating_sub(record.time);
    request.reply(uapi::SERVICE_GROUP_CMD_DECISION_GET, |message| {
        message.put_u32(uapi::SERVICE_GROUP_A_DECISION_GROUP, record.group)?;
        message.put_u32(uapi::SERVICE_GROUP_A_DECISION_OUTCOME, record.outcome)?;
        message.put_u32(uapi::SERVICE_GROUP_A_DECISION_REASON, record.reason)?;
        message.put_u64(uapi::SERVICE_GROUP_A_DECISION_HOME, record.home, pad)?;
        if record.target != 0 {
            message.put_u64(uapi::SERVICE_GROUP_A_DECISION_TAKER, record.target, pad)?;
        }
        message.put_u32(uapi::SERVICE_GROUP_A_DECISION_MOVES, record.moves)?;
        let age = age.checked_div(NS_OF_MS).unwrap_or(0);
        message.put_u64(uapi::SERVICE_GROUP_A_DECISION_AGE, age, pad)
    })
}
