// SPDX-License-Identifier: GPL-2.0
//! As much of HTTP as a scrape needs: one GET a connection.
//!
//! What a client can take is bounded: four connections at a time, five seconds
//! and 8 KiB of request each. Others wait in the listener's queue.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;

/// The format of the page.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const SENTENCE: &str = "text/plain; charset=utf-8";

/// Connections that are served at the same time.
const THREADS: usize = 4;
/// How long one may take, from its beginning to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest request, with all its headers.
const REQUEST: usize = 8192;
/// Most headers of a request.
const HEADERS: usize = 64;
/// How long to wait when the system has no descriptor for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers for as long as the process lives, with pages that `page` makes.
pub fn serve(
    listener: TcpListener,
    page: impl Fn() -> Result<String, Failure> + Send + Sync + 'static,
) -> Result<(), Failure> {
    let shared = Arc::new((listener, page));
    for _ in 0..THREADS {
        let shared = Arc::clone(&shared);
        thread::Builder::new()
            .spawn(move || answer_all(&shared.0, &shared.1))
            .map_err(|error| Failure::new(format!("a thread cannot be started: {error}")))?;
    }
    Ok(())
}

fn answer_all(listener: &TcpListener, page: &impl Fn() -> Result<String, Failure>) {
    loop {
        match listener.accept() {
            // A client that goes away, or is too slow, is no failure of ours.
            Ok((stream, _)) => drop(answer(stream, page)),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// What is answered.
struct Answer {
    status: &'static str,
    format: &'static str,
    body: String,
    /// Whether the body is sent, and not only its length.
    whole: bool,
}

impl Answer {
    fn sentence(status: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            status,
            format: SENTENCE,
            body: sentence.into() + "\n",
            whole: true,
        }
    }
}

/// Reads one request and answers it.
fn answer(stream: TcpStream, page: &impl Fn() -> Result<String, Failure>) -> io::Result<()> {
    let mut stream = Timed {
        stream,
        end: Instant::now() + LIMIT,
    };
    let answer = match read(&mut stream)? {
        Some((method, path)) => choose(&method, &path, page),
        None => Answer::sentence("400 Bad Request", "this is no HTTP request"),
    };
    let Answer { status, format, .. } = answer;
    let length = answer.body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {format}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    if answer.whole {
        bytes += &answer.body;
    }
    stream.write_all(bytes.as_bytes())?;
    stream.stream.shutdown(Shutdown::Write)
}

/// The method and the path of a request; nothing if it is none, or too long.
fn read(stream: &mut impl Read) -> io::Result<Option<(String, String)>> {
    let mut buffer = [0; REQUEST];
    let mut length = 0;
    loop {
        let got = stream.read(&mut buffer[length..])?;
        length += got;
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&buffer[..length]) {
            Ok(httparse::Status::Complete(_)) => {
                let parts = request.method.zip(request.path);
                return Ok(parts.map(|(method, path)| (method.to_owned(), path.to_owned())));
            }
            // It has ended, or is longer than the buffer.
            Ok(httparse::Status::Partial) if got == 0 => return Ok(None),
            Ok(httparse::Status::Partial) => {}
            Err(_) => return Ok(None),
        }
    }
}

fn choose(method: &str, path: &str, page: &impl Fn() -> Result<String, Failure>) -> Answer {
    let path = path.split('?').next().unwrap_or_default();
    let whole = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return Answer::sentence("405 Method Not Allowed", "only GET is answered"),
    };
    let answer = match path {
        "/metrics" => page().map_or_else(
            |failure| Answer::sentence("503 Service Unavailable", failure.to_string()),
            |body| Answer {
                status: "200 OK",
                format: METRICS,
                body,
                whole,
            },
        ),
        _ => Answer::sentence("404 Not Found", "the metrics are at /metrics"),
    };
    Answer { whole, ..answer }
}

/// A connection that fails when its time is over, however slowly it goes on.
struct Timed {
    stream: TcpStream,
    end: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    /// A server of this page, which ends with the test.
    fn server(page: Result<String, Failure>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("it is bound");
        let page = move || match &page {
            Ok(text) => Ok(text.clone()),
            Err(failure) => Err(Failure::new(failure.to_string())),
        };
        serve(listener, page).expect("threads can be started");
        address
    }

    fn exchange(address: SocketAddr, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
        (head.to_owned(), body.to_owned())
    }

    fn get(address: SocketAddr, path: &str) -> (String, String) {
        exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    #[test]
    fn a_scrape_gets_the_page() {
        let address = server(Ok("a 1\n".to_owned()));
        for path in ["/metrics", "/metrics?x=y"] {
            let (head, body) = get(address, path);
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert!(
                head.contains("openmetrics-text") && head.contains("Length: 4"),
                "{head}"
            );
            assert_eq!(body, "a 1\n");
        }
        let (head, body) = exchange(address, "HEAD /metrics HTTP/1.0\r\n\r\n");
        assert!(
            head.contains("200 OK") && head.contains("Length: 4"),
            "{head}"
        );
        assert_eq!(body, "");
    }

    #[test]
    fn whatever_else_is_asked_for_is_refused() {
        let address = server(Ok(String::new()));
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("nonsense\r\n\r\n", "400"),
            ("GET /metrics HTTP/1.1\r\n", "400"),
            ("", "400"),
        ] {
            let (head, body) = exchange(address, request);
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")),
                "{request}: {head}"
            );
            assert!(body.ends_with('\n'), "{body}");
        }
    }

    #[test]
    fn a_request_that_is_too_long_is_refused() {
        let mut request: &[u8] = &[b'x'; 2 * REQUEST];
        assert_eq!(read(&mut request).ok(), Some(None));
    }

    #[test]
    fn a_failure_is_told() {
        let address = server(Err(Failure::new("it is not loaded: load it")));
        let (head, body) = get(address, "/metrics");
        assert!(head.contains(" 503 "), "{head}");
        assert_eq!(body, "it is not loaded: load it\n");
    }

    #[test]
    fn idle_clients_do_not_keep_others_out() {
        let address = server(Ok("a 1\n".to_owned()));
        let idle: Vec<TcpStream> = (1..THREADS)
            .map(|_| TcpStream::connect(address).expect("it listens"))
            .collect();
        assert_eq!(get(address, "/metrics").1, "a 1\n");
        drop(idle);
    }

    #[test]
    fn a_connection_whose_time_is_over_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("it is bound");
        let stream = TcpStream::connect(address).expect("it listens");
        let end = Instant::now() + Duration::from_millis(20);
        let mut timed = Timed { stream, end };
        assert!(timed.read(&mut [0]).is_err());
        assert!(timed.write(&[0]).is_err());
    }
}
