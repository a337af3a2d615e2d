//! [`Liar`]: a server on loopback whose next answer is whatever it was told, well-formed HTTP or not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Its answer, the same until another is set.
#[derive(Clone)]
pub struct Liar {
    url: String,
    answer: Arc<Mutex<Arc<[u8]>>>,
}

impl Liar {
    /// Begins to listen; it ends with the process.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api", listener.local_addr().unwrap());
        let answer: Arc<Mutex<Arc<[u8]>>> = Arc::new(Mutex::new(Arc::from([])));
        let liar = Self { url, answer: answer.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = answer.clone();
                std::thread::spawn(move || {
                    // A client that is gone is nobody's matter.
                    let _ = serve(stream, &answer);
                });
            }
        });
        liar
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on it answers with a 200 and this body.
    pub fn set_body(&self, body: &[u8]) {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.set_raw(&[head.as_bytes(), body].concat());
    }

    /// From now on it answers with these bytes and then hangs up, unless they are one whole answer.
    pub fn set_raw(&self, bytes: &[u8]) {
        *self.answer.lock().unwrap() = Arc::from(bytes);
    }
}

fn serve(mut stream: TcpStream, answer: &Mutex<Arc<[u8]>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        let bytes = answer.lock().unwrap().clone();
        stream.write_all(&bytes)?;
        if !is_whole(&bytes) {
            return Ok(());
        }
    }
}

/// Whether this is one of [`Liar::set_body`]'s, behind which the connection can be used again.
fn is_whole(bytes: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
    let Some(rest) = bytes.strip_prefix(BEGINNING) else { return false };
    let Some(end) = rest.windows(4).position(|it| it == b"\r\n\r\n") else { return false };
    let length = std::str::from_utf8(&rest[..end]).ok().and_then(|text| text.parse::<usize>().ok());
    length == Some(rest.len() - end - 4)
}
