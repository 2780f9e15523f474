//! Against Debian's docker-registry, where it is installed.

use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ross_image::{PushState, RegistryConfig};

use crate::fixture::{Layer, OCI_MANIFEST, Packing, TestImage, TestStore, noise, patient, sha256};
use crate::push::push_as;

const PROGRAM: &str = "/usr/bin/docker-registry";

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One request over a connection of its own: the status and the value of `Location`.
fn request(address: &str, head: &str, body: &[u8]) -> (u16, Option<String>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(stream, "{head} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n")
        .unwrap();
    if head.starts_with("PUT") {
        let media_type = if head.contains("/manifests/") { OCI_MANIFEST } else { "application/octet-stream" };
        write!(stream, "Content-Type: {media_type}\r\n").unwrap();
    }
    stream.write_all(b"\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status).unwrap();
    let mut location = None;
    loop {
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) =
            line.to_ascii_lowercase().starts_with("location:").then(|| line[9..].trim().to_owned())
        {
            location = Some(value);
        }
    }
    let mut rest = Vec::new();
    answer.read_to_end(&mut rest).unwrap();
    (status.split(' ').nth(1).unwrap().parse().unwrap(), location)
}

fn push(address: &str, image: &TestImage) {
    for blob in image.layers.iter().map(|layer| &layer.blob).chain([&image.config]) {
        let (status, location) = request(address, "POST /v2/test/app/blobs/uploads/", &[]);
        assert_eq!(status, 202);
        let location = location.unwrap();
        let path = &location[location.find("/v2/").unwrap()..];
        let join = if path.contains('?') { '&' } else { '?' };
        let (status, _) = request(address, &format!("PUT {path}{join}digest={}", sha256(blob)), blob);
        assert_eq!(status, 201);
    }
    let (status, _) = request(address, "PUT /v2/test/app/manifests/v1", &image.manifest);
    assert_eq!(status, 201);
}

#[tokio::test]
async fn pulls_from_docker_registry_and_pushes_to_it() {
    assert!(Path::new(PROGRAM).exists(), "needs {PROGRAM}: install the package docker-registry");
    let dir = tempfile::tempdir().unwrap();
    // A free port: the registry cannot choose one and say which.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let storage = dir.path().join("storage");
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
        storage.display()
    );
    std::fs::write(dir.path().join("config.yml"), config).unwrap();
    let child = Command::new(PROGRAM)
        .arg("serve")
        .arg(dir.path().join("config.yml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&address).is_err() {
        assert!(Instant::now() < deadline, "docker-registry does not listen");
        std::thread::park_timeout(Duration::from_millis(20));
    }

    let layers = (0..5).map(|seed| Layer::of(&[("etc/f", &noise(seed, 2_000_000))], Packing::Gzip)).collect();
    let image = TestImage::new(layers);
    push(&address, &image);
    let test = TestStore::open().await;
    let partial = test.dir.path().join("ingest").join(format!("{}.partial", image.layers[0].digest().hex()));
    std::fs::write(partial, &image.layers[0].blob[..1_000_000]).unwrap();
    let pulled = test.pull(&format!("{address}/test/app:v1")).await.unwrap();
    assert_eq!(pulled.digest, image.digest());
    for seed in 0..5 {
        assert_eq!(test.read(&pulled.image, seed, "etc/f"), noise(seed as u64, 2_000_000));
    }
    assert_eq!(test.files("ingest"), Vec::<String>::new());

    let name = format!("{address}/other/app:v2");
    test.store.tag(&pulled.image, &name.parse().unwrap()).unwrap();
    let (pushed, events) = push_as(&test, &name, None).await;
    assert_eq!(pushed.unwrap().digest, image.digest());
    let mounted = PushState::Mounted("test/app".into());
    assert_eq!(events.iter().filter(|event| event.state == mounted).count(), 5);
    assert_eq!(test.pull(&name).await.unwrap().digest, image.digest());

    // From a store that does not know where the image came from: whole, and in chunks.
    let mut archive = Vec::new();
    test.store.save(vec![name]).await.unwrap().write(&mut archive).unwrap();
    for (repository, upload_chunk) in [("third/app", 64 << 20), ("fourth/app", 700_000)] {
        let other = TestStore::open_with(RegistryConfig { upload_chunk, ..patient() }).await;
        let loaded = other.store.load(Cursor::new(archive.clone()), other.sink()).await.unwrap();
        let name = format!("{address}/{repository}:v3");
        other.store.tag(&loaded[0].image, &name.parse().unwrap()).unwrap();
        let (pushed, events) = push_as(&other, &name, None).await;
        assert_eq!(pushed.unwrap().digest, image.digest());
        assert_eq!(events.iter().filter(|event| event.state == PushState::Pushed).count(), 5);
        assert_eq!(test.pull(&name).await.unwrap().digest, image.digest());
    }
}
