//! Registries with certificates of an authority of their own, and those that want one of their clients.

use ross_image::{HostOptions, Hosts, RegistryConfig};
use ross_types::ErrorKind;

use crate::certificates::{Authority, Pair};
use crate::fixture::{TestImage, TestStore, patient, text_of};
use crate::registry::{Registry, Reply};

fn config(registry: &str, options: &HostOptions) -> RegistryConfig {
    let mut hosts = Hosts::default();
    hosts.add(registry, options).unwrap();
    RegistryConfig { hosts, ..patient() }
}

#[tokio::test]
async fn an_authority_of_ones_own() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let registry = Registry::start_tls(authority.server("127.0.0.1", None));
    let image = TestImage::one_layer();
    registry.add("latest", &image);
    let ca = vec![authority.write(dir.path(), "ca.pem")];
    let options = HostOptions { ca: ca.clone(), ..HostOptions::default() };
    let test = TestStore::open_with(config(&registry.address, &options)).await;
    let pulled = test.pull(&registry.reference("")).await.unwrap();
    assert_eq!(pulled.digest, image.digest());

    // What is trusted for one registry is not for another.
    let insecure = HostOptions { insecure: Some(false), ..HostOptions::default() };
    let mut hosts = Hosts::default();
    hosts.add("elsewhere:1", &options).unwrap();
    hosts.add(&registry.address, &insecure).unwrap();
    let test = TestStore::open_with(RegistryConfig { hosts, ..patient() }).await;
    let (error, text) = test.fail(&registry.reference("")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(text.contains("no TLS connection that can be trusted"), "{text}");
    assert!(!text.contains("attempts"), "trying again does not help: {text}");

    // Nor is a certificate of that authority for another name.
    let registry = Registry::start_tls(authority.server("other.example", None));
    let test =
        TestStore::open_with(config(&registry.address, &HostOptions { ca, ..HostOptions::default() })).await;
    let (_, text) = test.fail(&registry.reference("")).await;
    assert!(text.contains("no TLS connection that can be trusted"), "{text}");
}

#[tokio::test]
async fn a_certificate_of_the_client() {
    let (authority, clients, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let registry = Registry::start_tls(authority.server("127.0.0.1", Some(&clients)));
    registry.add("latest", &TestImage::one_layer());
    let ca = vec![authority.write(dir.path(), "ca.pem")];
    let Pair { certificate, key } = clients.pair(dir.path(), "ada");
    let nobody = HostOptions { ca, ..HostOptions::default() };
    let ada = HostOptions {
        client_cert: Some(certificate.clone()),
        client_key: Some(key.clone()),
        ..nobody.clone()
    };
    let test = TestStore::open_with(config(&registry.address, &ada)).await;
    test.pull(&registry.reference("")).await.unwrap();
    let test =
        TestStore::open_with(RegistryConfig { attempts: 1, ..config(&registry.address, &nobody) }).await;
    test.fail(&registry.reference("")).await;

    // A key that is not the certificate's is found before anybody pulls.
    let other_dir = tempfile::tempdir().unwrap();
    let other = clients.pair(other_dir.path(), "bob");
    let mixed = HostOptions { client_key: Some(other.key.clone()), ..ada };
    let error = Hosts::default().add("x:1", &mixed).unwrap_err().to_string();
    let files = format!("{}, {}", certificate.display(), other.key.display());
    assert!(error.starts_with("registry \"x:1\": ") && error.contains(&files), "{error}");
}

#[tokio::test]
async fn a_redirect_elsewhere_takes_no_certificate_along() {
    let (authority, clients, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let image = TestImage::one_layer();
    let registry = Registry::start_tls(authority.server("127.0.0.1", Some(&clients)));
    registry.add("latest", &image);
    // It would take any client, and asks for a certificate of `clients`: ross has none to show there.
    let storage = Registry::start_tls(authority.server("127.0.0.1", Some(&clients)));
    storage.add("latest", &image);
    let target = storage.address.clone();
    registry.hook(move |request| {
        let location = format!("https://{target}{}", request.path);
        request.path.contains("/blobs/").then(|| Reply::status(307).header("location", location))
    });
    let ca = vec![authority.write(dir.path(), "ca.pem")];
    let Pair { certificate, key } = clients.pair(dir.path(), "ada");
    let known = HostOptions {
        ca: ca.clone(),
        client_cert: Some(certificate),
        client_key: Some(key),
        ..HostOptions::default()
    };
    let mut hosts = Hosts::default();
    hosts.add(&registry.address, &known).unwrap();
    hosts.add(&storage.address, &HostOptions { ca, ..HostOptions::default() }).unwrap();
    let test = TestStore::open_with(RegistryConfig { hosts, attempts: 1, ..patient() }).await;
    let error = test.pull(&registry.reference("")).await.unwrap_err();
    assert!(storage.requests().is_empty(), "{}", text_of(&error));
    assert!(registry.count("/blobs/") > 0, "it came as far as the redirect");
}
