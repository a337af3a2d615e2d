//! [`Peer`]: a server on loopback that answers as it was told to, well-formed HTTP or not.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What it does with a request.
#[derive(Clone)]
pub enum Action {
    /// Sends these bytes and hangs up.
    Send(Vec<u8>),
    /// Sends the first bytes, and then the others again and again, so long after each other, until nobody reads.
    Repeat(Vec<u8>, Vec<u8>, Duration),
    /// Sends these bytes and then nothing more, without hanging up.
    Hang(Vec<u8>),
}

/// How a peer answers, by how many requests came before.
pub type Behaviour = Arc<dyn Fn(usize) -> Action + Send + Sync>;

/// Starts a peer, which ends with the process, and answers its URL.
pub fn start(behaviour: Behaviour) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (behaviour, requests) = (behaviour.clone(), requests.clone());
            // A client that is gone is nobody's matter.
            std::thread::spawn(move || serve(stream, &behaviour, &requests));
        }
    });
    url
}

fn serve(mut stream: TcpStream, behaviour: &Behaviour, requests: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    read_request(&mut reader)?;
    match behaviour(requests.fetch_add(1, Ordering::SeqCst)) {
        Action::Send(bytes) => stream.write_all(&bytes),
        Action::Repeat(first, more, pause) => {
            stream.write_all(&first)?;
            loop {
                stream.write_all(&more)?;
                std::thread::sleep(pause);
            }
        }
        Action::Hang(bytes) => {
            stream.write_all(&bytes)?;
            // Until the client hangs up.
            let _ = reader.read(&mut [0; 1])?;
            Ok(())
        }
    }
}

/// Reads a request with its body.
fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(text) = lower.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
        chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
    }
    if chunked {
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.trim() != "0" {
            line.clear();
        }
    } else {
        reader.read_exact(&mut vec![0; length])?;
    }
    Ok(())
}
