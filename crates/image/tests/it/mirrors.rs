//! Mirrors: who is asked when, with what, and who is asked instead.

use ross_image::{Credentials, HostOptions, Hosts, RegistryConfig};
use ross_types::ErrorKind;

use crate::fixture::{TestImage, TestStore, impatient, noise, patient, sha256, text_of};
use crate::registry::{Pace, Registry, Reply, Request};

pub fn mirrored(registry: &Registry, mirrors: &[&str]) -> RegistryConfig {
    let mut hosts = Hosts::default();
    let options = HostOptions {
        mirrors: mirrors.iter().map(|&text| text.to_owned()).collect(),
        ..HostOptions::default()
    };
    hosts.add(&registry.address, &options).unwrap();
    RegistryConfig { hosts, ..patient() }
}

/// An address at which nobody listens.
fn nobody() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Pulls with a mirror that answers by `hook`; says how many manifests and blobs mirror and registry were asked for.
async fn check_with(
    config: fn() -> RegistryConfig,
    hook: impl FnMut(&Request, Reply) -> Option<Reply> + Send + 'static,
) -> [usize; 4] {
    let image = TestImage::plain();
    let (registry, mirror) = (Registry::with(&image), Registry::with(&image));
    let (honest, mut hook) = (mirror.clone(), hook);
    mirror.hook(move |request| hook(request, honest.honest(request)));
    let config = RegistryConfig { hosts: mirrored(&registry, &[&mirror.address]).hosts, ..config() };
    let test = TestStore::open_with(config).await;
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(pulled.digest, image.digest());
    for layer in 0..3 {
        let content = noise(layer as u64 + 1, 300_000);
        assert_eq!(test.read(&pulled.image, layer, &format!("etc/layer{layer}")), content);
    }
    let names: Vec<_> = pulled.image.record.references.iter().map(ToString::to_string).collect();
    assert!(names.iter().all(|name| name.starts_with(&registry.address)), "{names:?}");
    let counts = [&mirror, &registry].map(|server| [server.count("/manifests/"), server.count("/blobs/")]);
    [counts[0][0], counts[0][1], counts[1][0], counts[1][1]]
}

async fn check(hook: impl FnMut(&Request, Reply) -> Option<Reply> + Send + 'static) -> [usize; 4] {
    check_with(patient, hook).await
}

#[tokio::test]
async fn a_mirror_that_has_all_is_asked_alone() {
    assert_eq!(check(|_, _| None).await, [1, 4, 0, 0]);
}

#[tokio::test]
async fn a_mirror_that_fails_is_passed_over() {
    for status in [400, 401, 403, 404, 429, 500, 503] {
        let counts = check(move |_, _| Some(Reply::status(status).header("retry-after", "3600"))).await;
        assert_eq!(counts, [1, 0, 1, 4], "{status}");
    }
    let garbage = |_: &Request, _: Reply| {
        Some(Reply::ok("x").header("docker-content-digest", sha256(b"y").to_string()))
    };
    assert_eq!(check(garbage).await, [1, 0, 1, 4]);
}

#[tokio::test]
async fn blobs_that_a_mirror_lacks_come_from_the_registry() {
    // The configuration is asked for first; the mirror is not asked for the layers then.
    let lacks = |request: &Request, _: Reply| request.path.contains("/blobs/").then(|| Reply::status(404));
    assert_eq!(check(lacks).await, [1, 1, 0, 4]);
    let stalls = |request: &Request, honest: Reply| {
        request.path.contains("/blobs/").then(|| honest.pace(Pace::Stall(0)))
    };
    assert_eq!(check_with(impatient, stalls).await, [1, 1, 0, 4]);
}

#[tokio::test]
async fn a_transfer_that_breaks_goes_on() {
    // At the mirror as long as that sends something, then at the registry, from the same byte on.
    let image = TestImage::one_layer();
    let (registry, mirror) = (Registry::with(&image), Registry::with(&image));
    let (honest, digest) = (mirror.clone(), image.layers[0].digest().to_string());
    let mut times = 0;
    mirror.hook(move |request| {
        if !request.path.contains(&digest) {
            return None;
        }
        times += 1;
        Some(if times == 1 { honest.honest(request).pace(Pace::Cut(300_000)) } else { Reply::status(502) })
    });
    let test = TestStore::open_with(mirrored(&registry, &[&mirror.address])).await;
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(test.read(&pulled.image, 0, "data"), noise(9, 1_000_000));
    let range = |server: &Registry| {
        let requests = server.requests();
        requests.iter().filter_map(|request| request.header("range").map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(range(&mirror), ["bytes=300000-"]);
    assert_eq!(range(&registry), ["bytes=300000-"]);
}

#[tokio::test]
async fn a_mirror_that_lies_is_found_out() {
    let flips = |request: &Request, mut honest: Reply| {
        let middle = honest.body.len() / 2;
        honest.body[middle] ^= 1;
        request.path.contains("/blobs/").then_some(honest)
    };
    let [manifests, blobs, ..] = check(flips).await;
    assert_eq!((manifests, blobs), (1, 1), "after the configuration it is not asked again");
    // Only the layers are wrong: each that came from there comes again.
    let mut first = true;
    let flips_layers = move |request: &Request, mut honest: Reply| {
        let is_blob = request.path.contains("/blobs/");
        if !is_blob || std::mem::take(&mut first) {
            return None;
        }
        let middle = honest.body.len() / 2;
        honest.body[middle] ^= 1;
        Some(honest)
    };
    let [_, mirror, _, registry] = check(flips_layers).await;
    assert!(mirror >= 2 && registry == 3, "{mirror} {registry}");
}

#[tokio::test]
async fn several_are_asked_in_order() {
    let image = TestImage::one_layer();
    let (registry, empty, full) = (Registry::with(&image), Registry::start(), Registry::with(&image));
    let (nobody, full_url) = (nobody(), format!("http://{}/", full.address));
    let mirrors = [nobody.as_str(), &empty.address, &full_url];
    let test = TestStore::open_with(mirrored(&registry, &mirrors)).await;
    test.pull(&registry.reference("")).await.unwrap();
    assert_eq!((empty.requests().len(), full.requests().len(), registry.requests().len()), (1, 3, 0));
    // When all fail, what is told is what the registry said.
    let test = TestStore::open_with(mirrored(&registry, &[&nobody, &empty.address])).await;
    let (error, text) = test.fail(&registry.reference(":none")).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
}

#[tokio::test]
async fn a_prefix_is_part_of_the_repository() {
    let image = TestImage::one_layer();
    let (registry, mirror) = (Registry::start(), Registry::with(&image));
    let test = TestStore::open_with(mirrored(&registry, &[&format!("{}/cache/hub", mirror.address)])).await;
    test.pull(&registry.reference("")).await.unwrap();
    assert!(mirror.requests().iter().all(|request| request.path.starts_with("/v2/cache/hub/test/app/")));
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn docker_hub_has_mirrors_too() {
    let image = TestImage::one_layer();
    let mirror = Registry::with(&image);
    let mut hosts = Hosts::default();
    let options = HostOptions { mirrors: vec![mirror.address.clone()], ..HostOptions::default() };
    hosts.add("docker.io", &options).unwrap();
    let test = TestStore::open_with(RegistryConfig { hosts, ..patient() }).await;
    let pulled = test.pull("app").await.unwrap();
    assert!(mirror.requests().iter().all(|request| request.path.starts_with("/v2/library/app/")));
    let names: Vec<_> = pulled.image.record.references.iter().map(|name| name.familiar()).collect();
    assert_eq!(names[1], "app:latest");
}

#[tokio::test]
async fn a_mirror_never_sees_credentials() {
    let image = TestImage::one_layer();
    let (registry, mirror) = (Registry::with(&image), Registry::start());
    mirror.hook(|_| Some(Reply::status(401).header("www-authenticate", "Basic realm=\"x\"")));
    registry.hook(|request| match request.header("authorization") {
        Some("Basic bWU6c2VjcmV0") => None,
        _ => Some(Reply::status(401).header("www-authenticate", "Basic realm=\"x\"")),
    });
    let test = TestStore::open_with(mirrored(&registry, &[&mirror.address])).await;
    let secret = Credentials::Basic { username: "me".into(), password: "secret".into() };
    let pulled = test.pull_as(&registry.reference(""), Some(secret)).await;
    pulled.map_err(|error| text_of(&error)).unwrap();
    assert_eq!(mirror.requests().len(), 1);
    assert!(mirror.requests().iter().all(|request| request.header("authorization").is_none()));
}
