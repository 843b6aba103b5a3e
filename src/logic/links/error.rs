// SPDX-License-Identifier: GPL-2.0

//! Why a frame of a link is refused.

#![forbid(unsafe_code)]

/// How long a frame's header is, and so the shortest frame.
pub const HEADER_LEN: usize = 12;
/// How long a frame may be.
pub const MAX_FRAME_LEN: usize = 65_536;

/// How a peer broke the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// A frame is shorter than its header, or longer than [`MAX_FRAME_LEN`].
    FrameLength,
    /// The number of a frame is not the one behind the last frame's.
    Sequence,
    /// The first frame is no hello, or another one is.
    Order,
    /// There is no version 0 of a message.
    MessageVersion,
    /// A message has another length than its fields.
    BodyLength,
    /// A hello that is none: it begins otherwise, or a number in it is out of bounds.
    Hello,
    /// A heartbeat that says that they come more often than any may, or less often.
    Period,
    /// A load report for no address that there is, or too many of them.
    Load,
}
