// SPDX-License-Identifier: GPL-2.0
//! Any bytes as the value of SO_SERVICE_GROUP: they are refused, or all that
//! they hold is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use service_group_logic::logic::request::{Request, ENTRY_LEN, HEADER_LEN, MAX_ENTRIES};

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = Request::parse(bytes) else {
        return;
    };
    let count = request.entries().count();
    assert!((1..=MAX_ENTRIES).contains(&count));
    assert!(bytes.len() >= HEADER_LEN + count * ENTRY_LEN);
    assert!(request.bind || request.entries().all(|entry| entry.address.is_none()));
    assert_eq!(request.port.is_some(), bytes[12..14] != [0, 0]);
});
