//! An HTTP server that misbehaves on request, and a sink that remembers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use event::{Event, Events, Sink};
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// How many requests for this path came before.
    pub(crate) before: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte that is asked for.
    pub(crate) fn from(&self) -> usize {
        self.header("range")
            .and_then(|range| {
                range
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok()
            })
            .unwrap_or(0)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    end: End,
}

/// How a body ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    /// The connection breaks after so many bytes.
    Cut(usize),
    /// Nothing more comes after so many bytes, and the connection stays.
    Stall(usize),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            end: End::Whole,
        }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..Self::status(200)
        }
    }

    /// As a decent file server answers: ranges, and `If-Range` against this `ETag`.
    pub(crate) fn file(request: &Request, body: &[u8], etag: &str) -> Self {
        let same = request
            .header("if-range")
            .is_none_or(|validator| validator == etag);
        let from = if same { request.from() } else { 0 };
        let reply = if from == 0 {
            Self::ok(body)
        } else if from >= body.len() {
            Self::status(416).with("Content-Range", format!("bytes */{}", body.len()))
        } else {
            let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
            Self {
                body: body[from..].to_vec(),
                ..Self::status(206)
            }
            .with("Content-Range", range)
        };
        reply.with("ETag", etag)
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.end = End::Cut(bytes);
        self
    }

    pub(crate) fn stall_after(mut self, bytes: usize) -> Self {
        self.end = End::Stall(bytes);
        self
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// Listens on loopback for as long as it lives.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let seen = Arc::clone(&requests);
        let handler: Arc<Handler> = Arc::new(handler);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&handler), Arc::clone(&seen)));
            }
        });
        Self {
            url,
            requests,
            task,
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// `GET /x`, `GET /x from 5`, in the order they came.
    pub(crate) fn log(&self) -> Vec<String> {
        self.requests()
            .iter()
            .map(|r| match r.from() {
                0 => format!("{} {}", r.method, r.path),
                from => format!("{} {} from {from}", r.method, r.path),
            })
            .collect()
    }
}

async fn serve(
    stream: TcpStream,
    handler: Arc<Handler>,
    seen: Arc<Mutex<Vec<Request>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let request = {
        let mut seen = seen.lock().unwrap();
        let before = seen.iter().filter(|r| r.path == path).count();
        seen.push(Request {
            method,
            path,
            headers,
            before,
        });
        seen.last()?.clone()
    };
    let reply = handler(&request);
    let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\n", reply.status);
    write!(head, "Content-Length: {}\r\n", reply.body.len()).ok()?;
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n").ok()?;
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    if request.method == "HEAD" {
        return stream.shutdown().await.ok();
    }
    let sent = match reply.end {
        End::Whole => reply.body.len(),
        End::Cut(bytes) | End::Stall(bytes) => bytes.min(reply.body.len()),
    };
    stream.write_all(&reply.body[..sent]).await.ok()?;
    stream.flush().await.ok()?;
    if let End::Stall(_) = reply.end {
        // Until the other side gives up.
        let _ = stream.read_u8().await;
    }
    stream.shutdown().await.ok()
}

/// Every event, as it was told.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<Event>>);

impl Sink for Seen {
    fn on(&self, _: Timestamp, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Seen {
    pub(crate) fn watch() -> (Arc<Self>, Events) {
        let seen = Arc::new(Self::default());
        (Arc::clone(&seen), Events::to(vec![seen]))
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// How each unit ended, sorted by title.
    pub(crate) fn endings(&self) -> Vec<String> {
        let all = self.all();
        let mut endings: Vec<String> = all
            .iter()
            .filter_map(|event| {
                let Event::Started(unit) = event else {
                    return None;
                };
                let ending = all.iter().find_map(|event| match event {
                    Event::Finished { id, outcome, .. } if *id == unit.id => Some(outcome),
                    _ => None,
                });
                Some(format!("{}: {}: {ending:?}", unit.stage, unit.title))
            })
            .collect();
        endings.sort();
        endings
    }

    pub(crate) fn retries(&self) -> usize {
        self.all()
            .iter()
            .filter(|event| matches!(event, Event::Retrying { .. }))
            .count()
    }
}
