//! What is found in a config.json, what is written to it, and what is left alone.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn file(text: &str) -> ConfigFile {
    ConfigFile { path: "/c.json".into(), content: serde_json::from_str(text).unwrap() }
}

fn registry(name: &str) -> RegistryHost {
    name.parse().unwrap()
}

fn user(username: &str, password: &str) -> RegistryAuth {
    RegistryAuth { username: username.into(), password: password.into(), ..RegistryAuth::default() }
}

#[test]
fn credentials_by_registry() {
    // me:secret, you:pass:word, and he:secret with a zero byte behind it.
    let config = file(
        r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "bWU6c2VjcmV0"},
            "https://other.example/v2/": {"auth": "bWU6c2VjcmV0"},
            "quay.io/team": {"auth": "bWU6c2VjcmV0"},
            "plain.example:5000": {"username": "me", "password": "secret"},
            "http://plain.example:5000": {"username": "you", "password": "wrong"},
            "colon.example": {"auth": "eW91OnBhc3M6d29yZA=="},
            "zero.example": {"auth": "aGU6c2VjcmV0AA=="},
            "token.example": {"auth": "bWU6", "identitytoken": "t"},
            "bearer.example": {"registrytoken": "b"},
            "empty.example": {},
            "UPPER.example": {"auth": "bWU6c2VjcmV0", "email": "me@example"}
        }}"#,
    );
    let check = |name: &str, expected: Option<RegistryAuth>| {
        assert_eq!(config.auth(&registry(name)).unwrap(), expected, "{name}");
    };
    let me = || Some(user("me", "secret"));
    for hub in ["docker.io", "index.docker.io", "https://index.docker.io/v1/"] {
        check(hub, me());
    }
    check("other.example", me());
    check("quay.io", None);
    check("plain.example:5000", me());
    check("plain.example", None);
    check("colon.example", Some(user("you", "pass:word")));
    check("zero.example", Some(user("he", "secret")));
    check("token.example", Some(RegistryAuth { identity_token: "t".into(), ..user("me", "") }));
    check("bearer.example", Some(RegistryAuth { registry_token: "b".into(), ..RegistryAuth::default() }));
    check("empty.example", None);
    check("upper.example", me());
    check("unknown.example", None);
    for hub in ["docker.io", "index.docker.io"] {
        let config = file(&format!(r#"{{"auths": {{"{hub}": {{"auth": "bWU6c2VjcmV0"}}}}}}"#));
        assert_eq!(config.auth(&RegistryHost::docker_hub()).unwrap(), me(), "{hub}, as podman has it");
    }
}

#[test]
fn helpers_by_registry() {
    let config = file(
        r#"{"credsStore": "pass", "credHelpers": {
            "ecr.example": "ecr-login", "https://gcr.example": "gcloud", "file.example": ""}}"#,
    );
    let check = |name: &str, expected: Option<&str>| {
        assert_eq!(config.helper(&registry(name)).unwrap(), expected, "{name}");
    };
    check("ecr.example", Some("ecr-login"));
    check("gcr.example", Some("gcloud"));
    check("file.example", None);
    check("docker.io", Some("pass"));
    assert_eq!(file("{}").helper(&registry("x")).unwrap(), None);
    let (found, store) = config.registries().unwrap();
    assert_eq!((found.len(), store), (3, Some("pass")));
}

#[test]
fn what_makes_no_sense_is_told_with_its_place() {
    let check = |text: &str, says: &str| {
        let (config, x) = (file(text), registry("x"));
        let mut changed = config.clone();
        let errors =
            [config.auth(&x).err(), config.helper(&x).err(), changed.set(&x, &user("me", "secret")).err()];
        let told: Vec<String> = errors.iter().flatten().map(ToString::to_string).collect();
        assert!(!told.is_empty(), "{text}");
        assert!(told.iter().all(|error| error == &format!("/c.json: {says}")), "{told:?}");
    };
    check(r#"{"auths": []}"#, "`auths` is no object");
    check(r#"{"credHelpers": "x"}"#, "`credHelpers` is no object");
    check(r#"{"credsStore": 5}"#, "`credsStore` is no string");
    check(r#"{"credHelpers": {"x": 5}}"#, "`credHelpers.x` is no string");
    let packed = "`auths.x.auth` is not USER:PASSWORD in base64";
    check(r#"{"auths": {"x": {"auth": "!"}}}"#, packed);
    check(r#"{"auths": {"x": {"auth": "bWU="}}}"#, packed);
}

#[test]
fn kept_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/config.json");
    let hub = RegistryHost::docker_hub();
    ConfigFile::update(&path, |file| file.set(&hub, &user("me", "secret"))).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "{\n\t\"auths\": {\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"bWU6c2VjcmV0\"\n\t\t}\n\t}\n}\n"
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

    // What is others' stays, and names that mean the same go.
    let before = r#"{"psFormat": "x", "auths": {"http://r:1": {"auth": "YTpi"}, "s": {"auth": "YTpi"}}, "HttpHeaders": {"b": [1]}}"#;
    fs::write(&path, before).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let token = RegistryAuth { identity_token: "t".into(), ..user("me", "") };
    ConfigFile::update(&path, |file| file.set(&registry("r:1"), &token)).unwrap();
    let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let expected = json!({"psFormat": "x", "HttpHeaders": {"b": [1]}, "auths": {
        "r:1": {"auth": "bWU6", "identitytoken": "t"}, "s": {"auth": "YTpi"}}});
    assert_eq!(after, expected);
    assert_eq!(mode(&path), 0o600);

    assert!(ConfigFile::update(&path, |file| file.forget(&registry("s"))).unwrap());
    let unchanged = fs::metadata(&path).unwrap().ino();
    assert!(!ConfigFile::update(&path, |file| file.forget(&registry("s"))).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().ino(), unchanged, "what is the same is not written");
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    for bad in ["[]", "{\"auths\": ", "nonsense", "{\"auths\": 7}"] {
        fs::write(&path, bad).unwrap();
        let refused = ConfigFile::update(&path, |file| file.set(&registry("x"), &user("a", "b")));
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: ", path.display())), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
    fs::write(&path, " \n").unwrap();
    ConfigFile::update(&path, |file| file.set(&registry("x"), &user("a", "b"))).unwrap();
    assert_eq!(ConfigFile::read(&directory.path().join("none")).unwrap().content, Map::new());
}

#[test]
fn a_link_stays_one() {
    let directory = tempfile::tempdir().unwrap();
    let (link, target) =
        (directory.path().join("config.json"), directory.path().join("dotfiles/docker.json"));
    fs::create_dir(target.parent().unwrap()).unwrap();
    symlink("dotfiles/docker.json", &link).unwrap();
    ConfigFile::update(&link, |file| file.set(&registry("x"), &user("a", "b"))).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(ConfigFile::read(&target).unwrap().auth(&registry("x")).unwrap().is_some());
}

#[test]
fn of_several_at_once_none_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let name = registry(&format!("r:{number}"));
                ConfigFile::update(path, |file| file.set(&name, &user("a", "b"))).unwrap();
            });
        }
    });
    assert_eq!(ConfigFile::read(&path).unwrap().registries().unwrap().0.len(), 8);
}
