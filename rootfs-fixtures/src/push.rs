//! Pushing to a registry on a loopback address, over plain HTTP, with nothing but std.
//!
//! Not a client to learn from: one connection a request, no authentication, no retry.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::image::{Flavour, Image, index};
use crate::layer::sha256;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Pushes `image` as `repository:tag` to the registry at `address` (`127.0.0.1:5000`); returns its digest.
pub fn push(image: &Image, address: &str, repository: &str, tag: &str) -> Result<String> {
    push_blobs(image, address, repository)?;
    push_manifest(address, repository, tag, image.flavour.manifest_type(), &image.manifest)
}

/// Pushes `images`, and an index over them as `repository:tag`; returns the index's digest.
pub fn push_index(
    images: &[Image],
    flavour: Flavour,
    address: &str,
    repository: &str,
    tag: &str,
) -> Result<String> {
    for image in images {
        push(image, address, repository, &image.digest())?;
    }
    push_manifest(address, repository, tag, flavour.index_type(), &index(images, flavour))
}

fn push_blobs(image: &Image, address: &str, repository: &str) -> Result<()> {
    for blob in image.layer_blobs() {
        push_blob(address, repository, blob.digest, blob.bytes)?;
    }
    push_blob(address, repository, &image.id(), &image.config)
}

/// Uploads one blob; one that is there already is left alone.
pub fn push_blob(address: &str, repository: &str, digest: &str, bytes: &[u8]) -> Result<()> {
    let path = format!("/v2/{repository}/blobs/{digest}");
    if request(address, "HEAD", &path, None, &[])?.status == 200 {
        return Ok(());
    }
    let started = request(address, "POST", &format!("/v2/{repository}/blobs/uploads/"), None, &[])?;
    let location = started.expect(202)?.location.context("the registry names no upload location")?;
    let location = location.strip_prefix(&format!("http://{address}")).unwrap_or(&location).to_owned();
    let separator = if location.contains('?') { '&' } else { '?' };
    let path = format!("{location}{separator}digest={digest}");
    request(address, "PUT", &path, Some("application/octet-stream"), bytes)?.expect(201)?;
    Ok(())
}

/// Uploads a manifest or index under a tag or digest; returns its digest.
pub fn push_manifest(
    address: &str,
    repository: &str,
    tag: &str,
    media_type: &str,
    bytes: &[u8],
) -> Result<String> {
    let path = format!("/v2/{repository}/manifests/{tag}");
    request(address, "PUT", &path, Some(media_type), bytes)?.expect(201)?;
    Ok(sha256(bytes))
}

/// Whether a registry answers at `address`.
#[must_use]
pub fn is_registry(address: &str) -> bool {
    request(address, "GET", "/v2/", None, &[]).is_ok_and(|response| response.status == 200)
}

struct Response {
    request: String,
    status: u16,
    location: Option<String>,
    body: String,
}

impl Response {
    fn expect(self, status: u16) -> Result<Self> {
        if self.status != status {
            bail!("{}: status {}, expected {status}: {}", self.request, self.status, self.body.trim());
        }
        Ok(self)
    }
}

fn request(
    address: &str,
    method: &str,
    path: &str,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Response> {
    let stream = TcpStream::connect(address).with_context(|| format!("connect to the registry {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    head += &format!("Content-Length: {}\r\n", body.len());
    if let Some(content_type) = content_type {
        head += &format!("Content-Type: {content_type}\r\n");
    }
    (&stream).write_all(format!("{head}\r\n").as_bytes())?;
    (&stream).write_all(body)?;
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.with_context(|| format!("{method} {path}: not an HTTP answer: {line:?}"))?;
    let mut location = None;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("location") => {
                location = Some(value.trim().to_owned());
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = Vec::new();
    if method != "HEAD" {
        reader.take(64 << 10).read_to_end(&mut body)?;
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Response { request: format!("{method} {path}"), status, location, body })
}
