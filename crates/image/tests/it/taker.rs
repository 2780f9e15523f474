//! A registry that takes uploads, with repositories of its own each, and keeps the rules of the distribution
//! specification.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::fixture::{TestImage, sha256};
use crate::registry::{Registry, Reply, Request};

/// What it has, and how it behaves.
#[derive(Default)]
struct Taken {
    /// By repository and digest.
    blobs: HashMap<(String, String), Vec<u8>>,
    /// By number: the repository, and what came so far.
    uploads: HashMap<usize, (String, Vec<u8>)>,
    /// By repository and tag or digest, with the media type.
    manifests: HashMap<(String, String), (String, Vec<u8>)>,
    begun: usize,
    /// What stands before the path of an upload.
    origin: String,
    /// Whether it mounts.
    mounts: bool,
}

#[derive(Clone)]
pub struct Taker {
    pub registry: Registry,
    taken: Arc<Mutex<Taken>>,
}

fn query<'a>(path: &'a str, name: &str) -> Option<String> {
    let pairs = path.split_once('?')?.1.split('&');
    let value: Option<&'a str> =
        pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value);
    Some(value?.replace("%3A", ":").replace("%2F", "/"))
}

impl Taker {
    pub fn start() -> Self {
        let taker = Self {
            registry: Registry::start(),
            taken: Arc::new(Mutex::new(Taken { mounts: true, ..Taken::default() })),
        };
        taker.behave();
        taker
    }

    /// From now on by the rules.
    pub fn behave(&self) {
        let taker = self.clone();
        self.registry.unhook();
        self.registry.hook(move |request| Some(taker.answer(request)));
    }

    /// Answers as `odd` says, by the rules where it says nothing.
    pub fn hook(&self, mut odd: impl FnMut(&Taker, &Request) -> Option<Reply> + Send + 'static) {
        let taker = self.clone();
        self.registry
            .hook(move |request| Some(odd(&taker, request).unwrap_or_else(|| taker.answer(request))));
    }

    /// Uploads go on below this address, such as `http://host:port`; below the path alone where it is empty.
    pub fn uploads_at(&self, origin: &str) {
        self.taken.lock().unwrap().origin = origin.to_owned();
    }

    pub fn never_mounts(&self) {
        self.taken.lock().unwrap().mounts = false;
    }

    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address)
    }

    pub fn has(&self, repository: &str, bytes: &[u8]) -> bool {
        let name = (repository.to_owned(), sha256(bytes).to_string());
        self.taken.lock().unwrap().blobs.get(&name).is_some_and(|blob| blob == bytes)
    }

    /// Uploads that were begun, and that are not over.
    pub fn uploads(&self) -> (usize, usize) {
        let taken = self.taken.lock().unwrap();
        (taken.begun, taken.uploads.len())
    }

    pub fn manifest(&self, repository: &str, name: &str) -> Option<(String, Vec<u8>)> {
        self.taken.lock().unwrap().manifests.get(&(repository.to_owned(), name.to_owned())).cloned()
    }

    /// Puts an image there, as if it had been pushed.
    pub fn add(&self, repository: &str, tag: &str, image: &TestImage) {
        let mut taken = self.taken.lock().unwrap();
        for blob in image.layers.iter().map(|layer| &layer.blob).chain([&image.config]) {
            taken.blobs.insert((repository.to_owned(), sha256(blob).to_string()), blob.clone());
        }
        for name in [tag.to_owned(), image.digest().to_string()] {
            let manifest = (image.media_type.to_owned(), image.manifest.clone());
            taken.manifests.insert((repository.to_owned(), name), manifest);
        }
    }

    /// The bodies of requests with this method, in order.
    pub fn bodies(&self, method: &str) -> Vec<usize> {
        let requests = self.registry.requests();
        let bodies =
            requests.iter().filter(|request| request.method == method && request.path.contains("/uploads/"));
        bodies.map(|request| request.body.len()).collect()
    }

    /// What the rules say.
    pub fn answer(&self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap_or_default();
        let Some(rest) = path.strip_prefix("/v2/") else { return Reply::status(404) };
        let mut taken = self.taken.lock().unwrap();
        if let Some((repository, upload)) = rest.split_once("/blobs/uploads/") {
            return taken.upload(request, repository, upload);
        }
        if let Some((repository, digest)) = rest.split_once("/blobs/") {
            return match taken.blobs.get(&(repository.to_owned(), digest.to_owned())) {
                Some(blob) => Reply::ok(blob.clone()).header("docker-content-digest", digest),
                None => Reply::status(404),
            };
        }
        match rest.split_once("/manifests/") {
            Some((repository, name)) => taken.manifest(request, repository, name),
            None => Reply::status(404),
        }
    }
}

impl Taken {
    fn at(&self, status: u16, repository: &str, upload: usize) -> Reply {
        let location = format!("{}/v2/{repository}/blobs/uploads/{upload}?_state=a%3Db", self.origin);
        let length = self.uploads.get(&upload).map_or(0, |(_, bytes)| bytes.len());
        Reply::status(status)
            .header("location", location)
            .header("range", format!("0-{}", length.saturating_sub(1)))
    }

    fn upload(&mut self, request: &Request, repository: &str, upload: &str) -> Reply {
        if request.method == "POST" {
            let (digest, from) = (query(&request.path, "mount"), query(&request.path, "from"));
            if let (Some(digest), Some(from), true) = (digest, from, self.mounts)
                && let Some(blob) = self.blobs.get(&(from, digest.clone())).cloned()
            {
                self.blobs.insert((repository.to_owned(), digest.clone()), blob);
                return Reply::status(201).header("docker-content-digest", digest);
            }
            self.begun += 1;
            self.uploads.insert(self.begun, (repository.to_owned(), Vec::new()));
            return self.at(202, repository, self.begun);
        }
        let number: usize = upload.parse().unwrap_or_default();
        let Some((_, bytes)) = self.uploads.get_mut(&number) else { return Reply::status(404) };
        match request.method.as_str() {
            "GET" => self.at(204, repository, number),
            "DELETE" => {
                self.uploads.remove(&number);
                Reply::status(204)
            }
            "PATCH" => {
                let start =
                    request.header("content-range").and_then(|range| range.split('-').next()?.parse().ok());
                if start.is_some_and(|start: usize| start != bytes.len()) {
                    return Reply::status(416);
                }
                bytes.extend_from_slice(&request.body);
                self.at(202, repository, number)
            }
            "PUT" => {
                bytes.extend_from_slice(&request.body);
                if request.cut {
                    return Reply::status(500);
                }
                let digest = query(&request.path, "digest").unwrap_or_default();
                if sha256(bytes).to_string() != digest {
                    let body = br#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}"#;
                    return Reply { body: body.to_vec(), ..Reply::status(400) };
                }
                let (_, bytes) = self.uploads.remove(&number).unwrap();
                self.blobs.insert((repository.to_owned(), digest.clone()), bytes);
                Reply::status(201).header("docker-content-digest", digest)
            }
            _ => Reply::status(405),
        }
    }

    fn manifest(&mut self, request: &Request, repository: &str, name: &str) -> Reply {
        if request.method == "PUT" {
            let digest = sha256(&request.body).to_string();
            let media_type = request.header("content-type").unwrap_or_default().to_owned();
            for name in [name.to_owned(), digest.clone()] {
                self.manifests
                    .insert((repository.to_owned(), name), (media_type.clone(), request.body.clone()));
            }
            return Reply::status(201).header("docker-content-digest", digest);
        }
        match self.manifests.get(&(repository.to_owned(), name.to_owned())) {
            Some((media_type, bytes)) => Reply::ok(bytes.clone()).header("content-type", media_type),
            None => Reply::status(404),
        }
    }
}
