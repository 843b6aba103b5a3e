// SPDX-License-Identifier: GPL-2.0
//! What the keys of `top` do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// End.
    Quit,
    /// Go down by so many rows, or up.
    Scroll(isize),
}

/// What this key asks for, where `page` rows are seen.
pub fn action(key: KeyEvent, page: usize) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let page = isize::try_from(page.max(1)).unwrap_or(isize::MAX);
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Some(Action::Quit),
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Action::Quit),
        KeyCode::Down | KeyCode::Char('j') => Some(Action::Scroll(1)),
        KeyCode::Up | KeyCode::Char('k') => Some(Action::Scroll(-1)),
        KeyCode::PageDown | KeyCode::Char(' ') => Some(Action::Scroll(page)),
        KeyCode::PageUp => Some(Action::Scroll(-page)),
        KeyCode::Home => Some(Action::Scroll(isize::MIN)),
        KeyCode::End => Some(Action::Scroll(isize::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_scroll_and_quit() {
        for (code, expected) in [
            (KeyCode::Char('q'), Some(Action::Quit)),
            (KeyCode::Esc, Some(Action::Quit)),
            (KeyCode::Char('c'), None),
            (KeyCode::Down, Some(Action::Scroll(1))),
            (KeyCode::Char('k'), Some(Action::Scroll(-1))),
            (KeyCode::PageDown, Some(Action::Scroll(20))),
            (KeyCode::PageUp, Some(Action::Scroll(-20))),
            (KeyCode::Char('x'), None),
        ] {
            let key = KeyEvent::new(code, KeyModifiers::NONE);
            assert_eq!(action(key, 20), expected, "{code:?}");
        }
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(action(key, 20), Some(Action::Quit));
    }

    #[test]
    fn a_released_key_does_nothing() {
        let mut key = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        key.kind = KeyEventKind::Release;
        assert_eq!(action(key, 20), None);
    }
}
