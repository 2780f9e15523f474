//! Images made on the spot, and stores to put them in.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ross_image::{
    Credentials, Error, ImageRecords, ImageStore, ProgressSink, PullEvent, Pulled, RegistryConfig,
    StoreConfig,
};
use ross_types::{Digest, ImageRef, Platform};
use sha2::Digest as _;

use crate::records::MemoryRecords;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::sha256(sha2::Sha256::digest(bytes).into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => "+gzip",
            Self::Zstd => "+zstd",
        }
    }
}

/// A tar archive of these files, with their parent directories.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut made = BTreeSet::new();
    let header = |kind, mode, size| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(1_700_000_000);
        header
    };
    for (path, content) in files {
        for (slash, _) in path.match_indices('/') {
            if made.insert(&path[..slash]) {
                let mut directory = header(tar::EntryType::Directory, 0o755, 0);
                builder
                    .append_data(&mut directory, format!("{}/", &path[..slash]), std::io::empty())
                    .unwrap();
            }
        }
        let mut file = header(tar::EntryType::Regular, 0o644, content.len() as u64);
        builder.append_data(&mut file, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Bytes that do not compress, from a seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub struct Layer {
    pub tar: Vec<u8>,
    pub blob: Vec<u8>,
    packing: Packing,
}

impl Layer {
    pub fn of(files: &[(&str, &[u8])], packing: Packing) -> Self {
        Self::of_tar(tar_of(files), packing)
    }

    pub fn of_tar(tar: Vec<u8>, packing: Packing) -> Self {
        Self { blob: packing.pack(&tar), tar, packing }
    }

    pub fn digest(&self) -> Digest {
        sha256(&self.blob)
    }
}

/// An image as a registry serves it.
pub struct TestImage {
    pub layers: Vec<Layer>,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
    pub media_type: &'static str,
}

impl TestImage {
    pub fn new(layers: Vec<Layer>) -> Self {
        Self::with(layers, OCI_MANIFEST, "linux", "amd64")
    }

    pub fn with(layers: Vec<Layer>, media_type: &'static str, os: &str, architecture: &str) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|layer| sha256(&layer.tar).to_string()).collect();
        let config = serde_json::json!({
            "created": "2026-01-02T03:04:05Z",
            "os": os,
            "architecture": architecture,
            "config": {"Cmd": ["/bin/true"], "Env": null, "ExposedPorts": {"80/tcp": {}}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string().into_bytes();
        let manifest = manifest_of(&config, &layers, media_type);
        Self { layers, config, manifest, media_type }
    }

    /// Three layers that share nothing, with some bytes in each.
    pub fn plain() -> Self {
        let contents: Vec<_> = (1..=3).map(|seed| noise(seed, 300_000)).collect();
        let layer = |number: usize, packing| {
            Layer::of(&[(&format!("etc/layer{number}"), &contents[number])], packing)
        };
        Self::new(vec![layer(0, Packing::Gzip), layer(1, Packing::Gzip), layer(2, Packing::Gzip)])
    }

    pub fn one_layer() -> Self {
        Self::new(vec![Layer::of(&[("data", &noise(9, 1_000_000))], Packing::Gzip)])
    }

    pub fn digest(&self) -> Digest {
        sha256(&self.manifest)
    }

    pub fn id(&self) -> Digest {
        sha256(&self.config)
    }
}

pub fn manifest_of(config: &[u8], layers: &[Layer], media_type: &str) -> Vec<u8> {
    let docker = media_type == DOCKER_MANIFEST;
    let config_type = if docker {
        "application/vnd.docker.container.image.v1+json"
    } else {
        "application/vnd.oci.image.config.v1+json"
    };
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            let media_type = if docker {
                "application/vnd.docker.image.rootfs.diff.tar.gzip".to_owned()
            } else {
                format!("application/vnd.oci.image.layer.v1.tar{}", layer.packing.suffix())
            };
            serde_json::json!({"mediaType": media_type, "digest": layer.digest().to_string(), "size": layer.blob.len()})
        })
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": config_type, "digest": sha256(config).to_string(), "size": config.len()},
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}

/// A store in a directory of its own.
pub struct TestStore {
    pub dir: tempfile::TempDir,
    pub store: ImageStore,
    pub records: Arc<MemoryRecords>,
    pub events: Arc<Mutex<Vec<PullEvent>>>,
}

/// Retries fast, and waits long enough for a busy machine.
pub fn patient() -> RegistryConfig {
    RegistryConfig {
        response_timeout: Duration::from_secs(20),
        stall_window: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(20),
        ..impatient()
    }
}

/// For registries that are too slow on purpose.
pub fn impatient() -> RegistryConfig {
    RegistryConfig {
        attempts: 3,
        backoff: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_millis(300),
        stall_window: Duration::from_millis(400),
        ..RegistryConfig::default()
    }
}

impl TestStore {
    pub async fn open() -> Self {
        Self::open_with(patient()).await
    }

    pub async fn open_with(registries: RegistryConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let records = Arc::new(MemoryRecords::default());
        let config = StoreConfig { root: dir.path().to_owned(), records: records.clone(), registries };
        let store = ImageStore::open(config).await.unwrap();
        Self { dir, store, records, events: Arc::default() }
    }

    /// The same root opened again, as after a restart.
    pub async fn reopen(mut self) -> Self {
        tokio::time::timeout(Duration::from_secs(60), self.store.idle()).await.expect("all work ends");
        let root = self.dir.path().to_owned();
        let config = StoreConfig { root, records: self.records.clone(), registries: patient() };
        self.store = ImageStore::open(config).await.unwrap();
        self
    }

    pub fn sink(&self) -> ProgressSink {
        let events = self.events.clone();
        Arc::new(move |event| events.lock().unwrap().push(event))
    }

    pub async fn pull(&self, reference: &str) -> Result<Pulled, Error> {
        self.pull_as(reference, None).await
    }

    pub async fn pull_as(&self, reference: &str, credentials: Option<Credentials>) -> Result<Pulled, Error> {
        let reference: ImageRef = reference.parse().unwrap();
        let platform: Platform = "linux/amd64".parse().unwrap();
        let pull = self.store.pull(&reference, &platform, credentials, self.sink());
        tokio::time::timeout(Duration::from_secs(60), pull).await.expect("every pull ends")
    }

    /// Pulls, expects failure, and returns the whole text of the error.
    pub async fn fail(&self, reference: &str) -> (Error, String) {
        let error = self.pull(reference).await.expect_err("this cannot be pulled");
        let text = text_of(&error);
        self.assert_untouched();
        (error, text)
    }

    pub fn files(&self, below: &str) -> Vec<String> {
        let mut files = Vec::new();
        list(&self.dir.path().join(below), "", &mut files);
        files.sort();
        files
    }

    /// Nothing is recorded, nothing is outside staging, and staging has only what can be resumed.
    pub fn assert_untouched(&self) {
        assert!(self.records.images().unwrap().is_empty(), "no record");
        assert_eq!(self.files("blobs"), Vec::<String>::new(), "no blob");
        assert_eq!(self.files("layers"), Vec::<String>::new(), "no layer, and none in staging");
        let ingest = self.files("ingest");
        assert!(ingest.iter().all(|name| name.ends_with(".partial")), "only partials: {ingest:?}");
    }

    /// The content of a file in one of an image's layers.
    pub fn read(&self, image: &ross_image::Image, layer: usize, path: &str) -> Vec<u8> {
        let key = &image.record.layers[layer].key;
        std::fs::read(self.dir.path().join("layers").join(key).join("tree").join(path)).unwrap()
    }
}

fn list(dir: &Path, prefix: &str, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push(name);
        }
    }
}

pub fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
