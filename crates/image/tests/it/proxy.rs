//! Proxies of the environment. It is shared by all threads of a process, so each case is a process of its own: this
//! test program once more, with one test that pulls what a variable names.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use ross_image::{HostOptions, Hosts, RegistryConfig};

use crate::certificates::Authority;
use crate::fixture::{TestImage, TestStore, patient, text_of};
use crate::registry::Registry;

const REFERENCE: &str = "ROSS_TEST_REFERENCE";
const CA: &str = "ROSS_TEST_CA";
const NAMES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

#[tokio::test]
#[ignore = "the inner part of the others"]
async fn pull_what_is_named() {
    let Ok(reference) = std::env::var(REFERENCE) else { return };
    let registry = reference.split('/').next().unwrap();
    let mut hosts = Hosts::default();
    let options = match std::env::var(CA) {
        Ok(ca) => HostOptions { ca: vec![ca.into()], ..HostOptions::default() },
        Err(_) => HostOptions { insecure: Some(true), ..HostOptions::default() },
    };
    hosts.add(registry, &options).unwrap();
    let test = TestStore::open_with(RegistryConfig { hosts, attempts: 1, ..patient() }).await;
    test.pull(&reference).await.map_err(|error| text_of(&error)).unwrap();
}

fn pull(reference: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "proxy::pull_what_is_named", "--ignored"]);
    for name in NAMES {
        command.env_remove(name);
    }
    command.env(REFERENCE, reference).envs(environment.iter().copied());
    command.output().unwrap()
}

fn check(reference: &str, environment: &[(&str, &str)], succeeds: bool) {
    let output = pull(reference, environment);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "{said}");
    assert_eq!(output.status.success(), succeeds, "{reference} {environment:?}: {said}");
}

#[test]
fn plain_http_goes_by_it() {
    // A proxy is asked for whole addresses, and the made-up registry looks at their ends only.
    let proxy = Registry::with(&TestImage::one_layer());
    let url = format!("http://{}", proxy.address);
    check("registry.invalid:5000/test/app", &[("HTTP_PROXY", &url)], true);
    assert!(
        proxy.requests().iter().all(|request| request.path.starts_with("http://registry.invalid:5000/v2/"))
    );
    assert_eq!(proxy.requests().len(), 3);
    check("registry.invalid:5000/test/app", &[("HTTP_PROXY", &url), ("NO_PROXY", "registry.invalid")], false);
    check("registry.invalid:5000/test/app", &[("HTTPS_PROXY", &url)], false);
    assert_eq!(proxy.requests().len(), 3, "not asked for what it is not for");
}

#[test]
fn loopback_never_does() {
    let (registry, proxy) = (Registry::with(&TestImage::one_layer()), Registry::start());
    let url = format!("http://{}", proxy.address);
    check(&registry.reference(""), &[("HTTP_PROXY", &url), ("ALL_PROXY", &url)], true);
    assert!(proxy.requests().is_empty());
}

/// A proxy that connects whoever asks to `target`; answers its address and what was asked of it.
fn tunnel(target: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, asked) = (listener.local_addr().unwrap().to_string(), Arc::<Mutex<Vec<String>>>::default());
    let seen = asked.clone();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap();
            seen.lock().unwrap().push(head.lines().next().unwrap().to_owned());
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let server = TcpStream::connect(&target).unwrap();
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                // Ends with the connection.
                std::thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
            }
        }
    });
    (address, asked)
}

#[test]
fn tls_goes_through_it() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let registry = Registry::start_tls(authority.server("registry.invalid", None));
    registry.add("latest", &TestImage::one_layer());
    let (proxy, asked) = tunnel(registry.address.clone());
    let (url, ca) = (format!("http://{proxy}"), authority.write(dir.path(), "ca.pem"));
    check("registry.invalid/test/app", &[("HTTPS_PROXY", &url), (CA, ca.to_str().unwrap())], true);
    let asked = asked.lock().unwrap().clone();
    assert!(
        !asked.is_empty() && asked.iter().all(|line| line == "CONNECT registry.invalid:443 HTTP/1.1"),
        "{asked:?}"
    );
    assert_eq!(registry.requests().len(), 3);
}
