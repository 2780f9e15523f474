//! Logins and logouts: what is asked of the daemon, what is in config.json and at helpers afterwards, and which pulls
//! take it along.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::fake::Script;
use super::{Played, Stage, ended};

/// Keeps what it is told in a file of its directory, and writes down how it is called.
const HELPER: &str = r#"#!/bin/sh
cd "${0%/*}" || exit 1
input=$(cat)
echo "$1 $input" >> calls
case $1 in
store) printf %s "$input" > kept ;;
get) [ -e kept ] || { echo "credentials not found in native keychain"; exit 1; }; cat kept ;;
erase) rm kept ;;
list) [ -e kept ] && echo '{"reg.example:5000":"me"}' || echo '{}' ;;
esac
"#;

impl Stage {
    fn config(&self) -> PathBuf {
        self.directory.path().join("docker/config.json")
    }

    fn write_config(&self, content: &Value) {
        fs::create_dir_all(self.config().parent().unwrap()).unwrap();
        fs::write(self.config(), content.to_string()).unwrap();
    }

    fn read_config(&self) -> Value {
        serde_json::from_slice(&fs::read(self.config()).unwrap()).unwrap()
    }

    /// A helper of that name on the PATH of what is played.
    fn helper(&self, name: &str, script: &str) {
        let directory = self.directory.path().join("bin");
        fs::create_dir_all(&directory).unwrap();
        let source = self.directory.path().join(name);
        fs::write(&source, script).unwrap();
        // By another process: a fork of a neighbour would hold open for writing what is then to be executed.
        let mut install = std::process::Command::new("install");
        install.args(["-m", "755"]).arg(source).arg(directory.join(format!("docker-credential-{name}")));
        assert!(install.status().unwrap().success());
    }

    fn helper_calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.directory.path().join("bin/calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    async fn play(&self, line: &str, stdin: &str) -> Played {
        let mut command = self.ross(line);
        let bin = self.directory.path().join("bin");
        command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // It may have ended without reading.
        let _ = input.write_all(stdin.as_bytes()).await;
        drop(input);
        ended(self, child, line).await
    }
}

fn taking(password: &'static str) -> Script {
    Script { password, ..Script::default() }
}

#[tokio::test]
async fn a_login_is_kept_and_taken_along() {
    let stage = Stage::set(taking("secret"));
    let played = stage.play("login -u me --password-stdin reg.example:5000", "secret\n").await;
    assert_eq!((played.code, played.stdout.as_str()), (Some(0), "Login Succeeded\n"), "{played:?}");
    assert!(played.stderr.contains("unencrypted") && !played.stderr.contains("secret"), "{played:?}");
    assert_eq!(stage.read_config(), json!({"auths": {"reg.example:5000": {"auth": "bWU6c2VjcmV0"}}}));
    let mode = fs::metadata(stage.config()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let pulls = ["pull -q reg.example:5000/a/b", "pull -q reg.example/a", "pull -q busybox"];
    for line in pulls {
        assert_eq!(stage.play(line, "").await.code, Some(0), "{line}");
    }
    let run = stage.play("run -d --pull always reg.example:5000/x:1", "").await;
    assert_eq!(run.code, Some(0), "{run:?}");
    let calls: Vec<_> = run.calls.iter().filter(|call| call.starts_with("pull")).collect();
    let expected = [
        "pull reg.example:5000/a/b as me:secret",
        "pull reg.example/a",
        "pull busybox",
        "pull reg.example:5000/x:1 as me:secret",
    ];
    assert_eq!(calls, expected);

    let again = stage.play("login reg.example:5000", "").await;
    let said = "Authenticating with existing credentials...\nLogin Succeeded\n";
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), said), "{again:?}");
    let out = stage.play("logout https://reg.example:5000/v2/", "").await;
    assert_eq!(out.stdout, "Removing login credentials for reg.example:5000\n", "{out:?}");
    assert_eq!(stage.read_config(), json!({"auths": {}}));
    let out = stage.play("logout reg.example:5000", "").await;
    assert_eq!((out.code, out.stdout.as_str()), (Some(0), "Not logged in to reg.example:5000\n"));
}

#[tokio::test]
async fn docker_hub_is_the_registry_that_is_not_named() {
    let stage = Stage::set(taking("secret"));
    let played = stage.play("login -u me -p secret", "").await;
    assert_eq!(played.code, Some(0), "{played:?}");
    assert_eq!(played.calls, ["login docker.io as me:secret"]);
    assert!(played.stderr.contains("--password-stdin"), "{played:?}");
    assert_eq!(stage.read_config()["auths"]["https://index.docker.io/v1/"]["auth"], "bWU6c2VjcmV0");
    let pulled = stage.play("pull -q busybox", "").await;
    assert_eq!(pulled.calls[1], "pull busybox as me:secret");
    let out = stage.play("logout", "").await;
    assert_eq!(out.stdout, "Removing login credentials for docker.io\n");
}

#[tokio::test]
async fn an_identity_token_takes_the_passwords_place() {
    let stage = Stage::set(Script { identity_token: "keep", ..taking("secret") });
    stage.write_config(&json!({"credHelpers": {"other": "x"}, "detachKeys": "ctrl-x"}));
    stage.play("login -u me -p secret reg.example", "").await;
    let entry = json!({"auth": "bWU6", "identitytoken": "keep"});
    let expected =
        json!({"credHelpers": {"other": "x"}, "detachKeys": "ctrl-x", "auths": {"reg.example": entry}});
    assert_eq!(stage.read_config(), expected);
    let again = stage.play("login reg.example", "").await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(again.calls[1], "login reg.example as me, token keep");
    assert_eq!(stage.read_config(), expected);
}

#[tokio::test]
async fn a_helper_keeps_them() {
    for config in [
        json!({"credsStore": "test"}),
        json!({"credsStore": "none", "credHelpers": {"reg.example:5000": "test"}}),
    ] {
        let stage = Stage::set(taking("secret"));
        stage.helper("test", HELPER);
        stage.write_config(&config);
        let played = stage.play("login -u me --password-stdin reg.example:5000", "secret").await;
        assert_eq!(played.code, Some(0), "{played:?}");
        assert!(!played.stderr.contains("unencrypted"), "{played:?}");
        let calls = stage.helper_calls();
        let entry: Value = serde_json::from_str(calls[1].strip_prefix("store ").unwrap()).unwrap();
        assert_eq!(entry, json!({"ServerURL": "reg.example:5000", "Username": "me", "Secret": "secret"}));
        assert_eq!(calls[0], "get reg.example:5000");
        assert_eq!(stage.read_config()["auths"], json!({"reg.example:5000": {}}), "no secret in the file");
        let pulled = stage.play("pull -q reg.example:5000/a", "").await;
        assert_eq!(pulled.calls[1], "pull reg.example:5000/a as me:secret");
        let out = stage.play("logout reg.example:5000", "").await;
        assert_eq!(
            (out.code, stage.helper_calls().last().unwrap().as_str()),
            (Some(0), "erase reg.example:5000")
        );
        assert_eq!(stage.read_config()["auths"], json!({}));
        let pulled = stage.play("pull -q reg.example:5000/a", "").await;
        assert_eq!(pulled.calls[2], "pull reg.example:5000/a", "{pulled:?}");
    }
}

#[tokio::test]
async fn a_helper_keeps_identity_tokens_under_a_name_of_their_own() {
    let stage = Stage::set(Script { identity_token: "keep", ..taking("secret") });
    stage.helper("test", HELPER);
    stage.write_config(&json!({"credsStore": "test"}));
    stage.play("login -u me -p secret", "").await;
    let calls = stage.helper_calls();
    let entry: Value = serde_json::from_str(calls[1].strip_prefix("store ").unwrap()).unwrap();
    let expected =
        json!({"ServerURL": "https://index.docker.io/v1/", "Username": "<token>", "Secret": "keep"});
    assert_eq!(entry, expected);
    let pulled = stage.play("pull -q busybox", "").await;
    assert_eq!(pulled.calls[1], "pull busybox as <token>, token keep");
}

#[tokio::test]
async fn a_helper_that_fails_is_named() {
    let stage = Stage::set(taking("secret"));
    let check = async |says: &str| {
        let played = stage.play("login -u me -p secret reg.example", "").await;
        assert_eq!((played.code, played.stdout.as_str()), (Some(1), ""), "{played:?}");
        assert!(played.stderr.contains(says), "{played:?}");
        // A pull goes on without, and says so.
        let pulled = stage.play("pull -q reg.example/a", "").await;
        assert_eq!(pulled.code, Some(0), "{pulled:?}");
        let warning = format!("ross: warning: reg.example is asked without credentials: {says}");
        assert!(pulled.stderr.starts_with(&warning), "{pulled:?}");
        assert_eq!(pulled.calls.last().unwrap(), "pull reg.example/a");
    };
    stage.write_config(&json!({"credsStore": "gone"}));
    check("docker-credential-gone get: there is no such program in $PATH").await;
    stage.write_config(&json!({"credsStore": "../test"}));
    check("docker-credential-../test get: a helper is named without a path").await;
    stage.helper("locked", "#!/bin/sh\necho the keychain is locked\nexit 1\n");
    stage.write_config(&json!({"credsStore": "locked"}));
    check("docker-credential-locked get: the keychain is locked").await;
    stage.helper("silent", "#!/bin/sh\nexit 3\n");
    stage.write_config(&json!({"credsStore": "silent"}));
    check("docker-credential-silent get: exit status: 3").await;
    stage.helper("odd", "#!/bin/sh\necho secret\n");
    stage.write_config(&json!({"credsStore": "odd"}));
    check("docker-credential-odd get: the answer is not what a helper answers").await;
}

#[tokio::test]
async fn what_is_refused_is_not_kept() {
    let stage = Stage::set(taking("secret"));
    let before = json!({"auths": {"reg.example": {"auth": "bWU6b2xk"}}});
    stage.write_config(&before);
    let check = async |line: &str, stdin: &str, code: i32, says: &str| {
        let played = stage.play(line, stdin).await;
        assert_eq!(
            (played.code, played.stdout.contains("Succeeded")),
            (Some(code), false),
            "{line} {played:?}"
        );
        assert!(played.stderr.contains(says), "{line} {played:?}");
        assert_eq!(stage.read_config(), before, "{line}");
    };
    check("login -u me --password-stdin reg.example", "wrong", 1, "login at reg.example: refused").await;
    check("login reg.example", "", 1, "login at reg.example: refused").await;
    check("login other.example", "me\nsecret\n", 1, "no terminal to ask at").await;
    check("login -u me reg.example", "", 1, "no terminal to ask at").await;
    check("login -u me --password-stdin reg.example", "\n", 1, "the password is empty").await;
    check("login -u a:b -p secret reg.example", "", 1, "has a colon").await;
    check("login -u me -p secret a@b", "", 1, "`a@b` names no registry").await;
    check("login --password-stdin reg.example", "secret", 125, "--username").await;
    check("login -u me -p secret --password-stdin x", "", 125, "cannot be used with").await;
    check("logout --all reg.example", "", 125, "cannot be used with").await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_left_alone() {
    let stage = Stage::set(taking("secret"));
    fs::create_dir_all(stage.config().parent().unwrap()).unwrap();
    fs::write(stage.config(), "{\"auths\": ").unwrap();
    for line in ["login -u me -p secret reg.example", "logout reg.example"] {
        let played = stage.play(line, "").await;
        assert_eq!((played.code, played.calls.len()), (Some(1), 0), "{line} {played:?}");
        assert!(played.stderr.contains(stage.config().to_str().unwrap()), "{played:?}");
    }
    assert_eq!(fs::read_to_string(stage.config()).unwrap(), "{\"auths\": ");
    let pulled = stage.play("pull -q reg.example/a", "").await;
    assert_eq!(pulled.code, Some(0), "{pulled:?}");
    assert!(pulled.stderr.contains("is asked without credentials"), "{pulled:?}");
}

#[tokio::test]
async fn all_are_forgotten_at_once() {
    let stage = Stage::set(taking("secret"));
    stage.helper("test", HELPER);
    stage.write_config(&json!({
        "credHelpers": {"file.example": ""},
        "credsStore": "test",
        "auths": {"file.example": {"auth": "bWU6c2VjcmV0"}, "http://file.example": {"auth": "bWU6b2xk"}},
    }));
    stage.play("login -u me -p secret reg.example:5000", "").await;
    let out = stage.play("logout --all", "").await;
    let said =
        "Removing login credentials for file.example\nRemoving login credentials for reg.example:5000\n";
    assert_eq!((out.code, out.stdout.as_str()), (Some(0), said), "{out:?}");
    assert_eq!(stage.read_config()["auths"], json!({}));
    assert!(stage.helper_calls().contains(&"erase reg.example:5000".to_owned()));
}
