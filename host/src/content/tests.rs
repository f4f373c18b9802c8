use std::collections::HashMap;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderValue;

use super::*;
use crate::body::{Body, Piece, Source};
use crate::config::{Files, Mapping, Redirects, Symlinks};
use crate::error::{Error, Kind};
use crate::http1::Length;

/// Files of a folder, with every default.
pub(super) fn files(folder: &Path) -> Files {
    Files {
        folder: folder.to_owned(),
        mapping: Mapping::Root,
        index: vec!["index.html".to_owned()],
        tries: None,
        types: HashMap::new(),
        default_type: HeaderValue::from_static("text/plain"),
        symlinks: Symlinks::default(),
        redirects: Redirects { absolute: true, site_name: false, port: true },
    }
}

struct Dir(std::path::PathBuf);

impl Dir {
    fn new(name: &str, files: &[(&str, usize)]) -> Self {
        let dir = std::env::temp_dir().join(format!("tidegate-content-{name}-{}", std::process::id()));
        for (name, size) in files {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, noise(*size)).unwrap();
        }
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn noise(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i % 251) as u8).collect()
}

fn ask(files: &Files, path: &str) -> Result<String, Kind> {
    let asked = Asked { path: path.to_owned(), reads: true, ..Asked::default() };
    tried(files, asked)
}

fn tried(files: &Files, asked: Asked) -> Result<String, Kind> {
    match lookup(files, asked) {
        Ok(Found::File(page, path)) => Ok(format!("{path} {}", page.length())),
        Ok(Found::Folder(path)) => Ok(format!("folder {path}")),
        Ok(Found::Index(path)) => Ok(format!("index {path}")),
        Ok(Found::Nothing) => Ok("nothing".to_owned()),
        Err(error) => Err(error.kind),
    }
}

#[test]
fn paths_and_files() {
    let dir = Dir::new("paths", &[("a.txt", 3), ("d/index.html", 5), ("e/x", 1), (".hidden", 2)]);
    let mut files = files(&dir.0);
    for (path, wanted) in [
        ("/a.txt", Ok("/a.txt 3")),
        ("/.hidden", Ok("/.hidden 2")),
        ("/d", Ok("folder /d")),
        ("/d/", Ok("index /d/index.html")),
        ("/e/", Err(Kind::Forbidden)),
        ("/", Err(Kind::Forbidden)),
        ("/none", Err(Kind::NotFound)),
        ("/none/", Err(Kind::NotFound)),
        ("/a.txt/", Err(Kind::NotFound)),
        ("/a.txt/x", Err(Kind::NotFound)),
        ("/d/../a.txt", Err(Kind::NotFound)),
    ] {
        assert_eq!(ask(&files, path), wanted.map(str::to_owned), "{path}");
    }
    files.mapping = Mapping::Alias("/i".to_owned());
    assert_eq!(ask(&files, "/i/a.txt"), Ok("/i/a.txt 3".to_owned()));
    assert_eq!(ask(&files, "/ia.txt"), Err(Kind::NotFound));
    assert_eq!(ask(&files, "/i../a.txt"), Err(Kind::NotFound));
    files.folder = dir.0.join("none");
    assert_eq!(ask(&files, "/i/a.txt"), Err(Kind::NotFound));
}

#[test]
fn paths_to_try() {
    let dir = Dir::new("tries", &[("a.txt", 3), ("d/x", 5)]);
    let files = files(&dir.0);
    for (tries, wanted) in [
        (vec![("/none", false), ("/a.txt", false)], Ok("/a.txt 3")),
        (vec![("/d", false), ("/d", true)], Ok("folder /d")),
        (vec![("/a.txt", true), ("/none", false)], Ok("nothing")),
        (vec![("/../a.txt", false)], Ok("nothing")),
        (vec![("", true)], Err(Kind::Forbidden)),
    ] {
        let list = tries.iter().map(|(path, is_folder)| ((*path).to_owned(), *is_folder)).collect();
        let asked = Asked { tries: Some(list), ..Asked::default() };
        assert_eq!(tried(&files, asked), wanted.map(str::to_owned), "{tries:?}");
    }
}

/// In a folder that is away nothing is there to try; without `try_files` that is an answer.
#[test]
fn a_folder_that_is_away() {
    let files = files(Path::new("/nonexistent/tidegate"));
    let asked = || Asked { path: "/a.txt".to_owned(), ..Asked::default() };
    let tries = Some(vec![("/a.txt".to_owned(), false)]);
    assert_eq!(tried(&files, Asked { tries, ..asked() }), Ok("nothing".to_owned()));
    assert_eq!(tried(&files, asked()), Err(Kind::NotFound));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn read(mut body: Body) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    loop {
        match std::future::poll_fn(|cx| body.poll_piece(cx)).await? {
            Piece::Data(data) => out.extend_from_slice(&data),
            Piece::End | Piece::Trailers(_) => return Ok(out),
        }
    }
}

#[test]
fn files_of_any_size_and_their_parts() {
    let sizes = [0, 1, 64 << 10, (64 << 10) + 1, 300_000];
    let names: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let dir = Dir::new("sizes", &names.iter().zip(sizes).map(|(n, s)| (n.as_str(), s)).collect::<Vec<_>>());
    let files = files(&dir.0);
    let get = |size: usize, range: Option<&str>| {
        let asked = Asked { path: format!("/{size}"), reads: true, ..Asked::default() };
        let Ok(Found::File(page, _)) = lookup(&files, asked) else { panic!("no file") };
        let fields = range.map(|range| ("Range", range)).into_iter().collect();
        let (head, body) = page.answer(&http::Method::GET, &fields, true).unwrap();
        let length = body.length();
        let bytes = runtime().block_on(read(body)).unwrap();
        assert_eq!(length, Length::Known(bytes.len() as u64), "{size}");
        (head, bytes)
    };
    for size in sizes {
        assert!(get(size, None).1 == noise(size), "{size}");
    }
    let (head, part) = get(300_000, Some("bytes=100000-299999"));
    assert_eq!(head.fields.get_str("content-range"), Some("bytes 100000-299999/300000"));
    assert!(part == noise(300_000)[100_000..]);
    let (head, parts) = get(300_000, Some("bytes=0-1,-2"));
    let kind = head.fields.get_str("content-type").unwrap().to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mut wanted = Vec::new();
    for (range, bytes) in [("0-1", &noise(2)), ("299998-299999", &noise(300_000)[299_998..].to_vec())] {
        let head =
            format!("\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {range}/300000\r\n\r\n");
        wanted.extend_from_slice(head.as_bytes());
        wanted.extend_from_slice(bytes);
    }
    wanted.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(parts == wanted);
}

#[test]
fn a_file_that_shrinks_breaks_off() {
    let dir = Dir::new("shrinks", &[("f", 200_000)]);
    let asked = Asked { path: "/f".to_owned(), reads: true, ..Asked::default() };
    let Ok(Found::File(page, _)) = lookup(&files(&dir.0), asked) else { panic!("no file") };
    let (_, body) = page.answer(&http::Method::GET, &crate::message::Fields::new(), true).unwrap();
    std::fs::write(dir.0.join("f"), b"short").unwrap();
    let error = runtime().block_on(read(body)).unwrap_err();
    assert_eq!(error.kind, Kind::File);
}

/// Pieces of 10 bytes without end; counts those that were taken.
struct Endless(Arc<AtomicUsize>, usize);

impl Source for Endless {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        if self.0.fetch_add(1, Ordering::Relaxed) == self.1 {
            return Poll::Ready(Ok(Piece::End));
        }
        Poll::Ready(Ok(Piece::Data(Bytes::from_static(b"0123456789"))))
    }

    fn length(&self) -> Length {
        Length::Chunked
    }
}

#[test]
fn a_body_is_read_ahead_as_far_as_the_limit() {
    runtime().block_on(async {
        let taken = Arc::new(AtomicUsize::new(0));
        let mut ahead = ReadAhead::new(Body::Stream(Box::new(Endless(Arc::clone(&taken), 1000))), 100);
        tokio::task::yield_now().await;
        assert_eq!(taken.load(Ordering::Relaxed), 10, "the limit's worth of pieces, and nobody took one");
        let mut first = pin!(std::future::poll_fn(|cx| ahead.poll_piece(cx)));
        assert!(matches!(first.as_mut().await, Ok(Piece::Data(_))));
        tokio::task::yield_now().await;
        assert_eq!(taken.load(Ordering::Relaxed), 11, "one more, in the place of the one that was taken");
        assert_eq!(read(Body::Stream(Box::new(ahead))).await.unwrap().len(), 999 * 10);
    });
}

#[test]
fn dropping_ends_the_reading() {
    runtime().block_on(async {
        let taken = Arc::new(AtomicUsize::new(0));
        let ahead = ReadAhead::new(Body::Stream(Box::new(Endless(Arc::clone(&taken), 1000))), 100);
        tokio::task::yield_now().await;
        drop(ahead);
        tokio::task::yield_now().await;
        // The task held the other reference.
        assert_eq!(Arc::strong_count(&taken), 1);
    });
}
