//! One case: its place in the specification, what it changes in the default configuration, what the probe must report.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::harness::Need;

/// Keys from the report's root to a value.
pub type Path = &'static [&'static str];

/// A case, as data. Strings with `@BUNDLE@` get the bundle's folder there, those with
/// `@ID@` the container's name.
#[derive(Debug)]
pub struct Case {
    /// `part/what-must-hold`
    pub name: &'static str,
    /// File and heading of the specification, or whose behaviour it is beyond that.
    pub section: &'static str,
    /// The first specification that has it.
    pub since: &'static str,
    pub needs: Vec<Need>,
    /// Whether the container must have a cgroup of its own.
    pub uses_cgroup: bool,
    pub changes: Vec<Change>,
    pub words: Vec<String>,
    pub claims: Vec<Claim>,
    pub body: Body,
}

/// What is done before the container is made.
#[derive(Debug)]
pub enum Change {
    /// Sets the field of this JSON pointer.
    Set(&'static str, Value),
    /// Appends to the array of this JSON pointer.
    Push(&'static str, Value),
    Remove(&'static str),
    /// Sets a kernel parameter to what it is on the host, for who must not set it.
    KeepSysctl(&'static str),
    DropNamespace(&'static str),
    /// Joins the namespace of another process: its type in config.json, its name in /proc/PID/ns.
    Join(&'static str, &'static str),
    /// A file below the bundle.
    File(&'static str, &'static str),
    Folder(&'static str),
    Link(&'static str, &'static str),
    /// A tmpfs mounted on the host, at a folder below the bundle: a shared mount.
    HostMount(&'static str),
    /// A folder below the bundle made a shared mount.
    HostShare(&'static str),
}

/// What must hold in the probe's report.
#[derive(Debug)]
pub enum Claim {
    Is(Path, Value),
    /// The array, object's keys or string has this.
    Has(Path, Value),
    Lacks(Path, Value),
    /// The same as outside of a container.
    AsHost(Path),
    UnlikeHost(Path),
    /// The namespace is the joined one.
    Joined(&'static str),
    Works(String),
    Fails(String, i32),
    /// Fails or not, but not like this.
    NotErrno(String, i32),
    Answers(String, Value),
}

#[derive(Debug)]
pub enum Body {
    /// `run` ends with this code; with 0 there is a report.
    Runs(i32),
    /// The container cannot be made, and nothing of it is there afterwards.
    Refused,
    Steps(fn(&mut Stage) -> Result<()>),
}

/// A case that runs the probe in the default configuration.
pub fn case(name: &'static str, section: &'static str) -> Case {
    Case {
        name,
        section,
        since: "1.0",
        needs: Vec::new(),
        uses_cgroup: false,
        changes: Vec::new(),
        words: Vec::new(),
        claims: Vec::new(),
        body: Body::Runs(0),
    }
}

impl Case {
    pub fn since(mut self, version: &'static str) -> Self {
        self.since = version;
        self
    }

    pub fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// With a cgroup of its own.
    pub fn with_cgroup(mut self) -> Self {
        self.uses_cgroup = true;
        self
    }

    /// With a cgroup of its own, shown at /sys/fs/cgroup, and this controller.
    pub fn controller(self, name: &'static str) -> Self {
        self.needs(Need::Controller(name)).shows_cgroup()
    }

    /// With a cgroup of its own, shown at /sys/fs/cgroup.
    pub fn shows_cgroup(self) -> Self {
        let mount =
            json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]});
        self.with_cgroup().push("/mounts", mount)
    }

    pub fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    pub fn set(self, pointer: &'static str, value: Value) -> Self {
        self.change(Change::Set(pointer, value))
    }

    pub fn push(self, pointer: &'static str, value: Value) -> Self {
        self.change(Change::Push(pointer, value))
    }

    pub fn remove(self, pointer: &'static str) -> Self {
        self.change(Change::Remove(pointer))
    }

    pub fn namespace(self, kind: &str) -> Self {
        self.push("/linux/namespaces", json!({"type": kind}))
    }

    /// A user namespace with 65536 ids from 100000 on.
    pub fn user_namespace(self) -> Self {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        self.namespace("user").set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
    }

    /// A mount at `destination`.
    pub fn mount(self, kind: &str, source: &str, destination: &str, options: &[&str]) -> Self {
        self.push(
            "/mounts",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )
    }

    /// A word for the probe.
    pub fn word(mut self, word: &str) -> Self {
        self.words.push(word.to_owned());
        self
    }

    fn claim(mut self, claim: Claim) -> Self {
        self.claims.push(claim);
        self
    }

    pub fn is(self, path: Path, value: Value) -> Self {
        self.claim(Claim::Is(path, value))
    }

    pub fn has(self, path: Path, value: Value) -> Self {
        self.claim(Claim::Has(path, value))
    }

    pub fn lacks(self, path: Path, value: Value) -> Self {
        self.claim(Claim::Lacks(path, value))
    }

    pub fn like_host(self, path: Path) -> Self {
        self.claim(Claim::AsHost(path))
    }

    pub fn unlike_host(self, path: Path) -> Self {
        self.claim(Claim::UnlikeHost(path))
    }

    pub fn join(self, kind: &'static str, name: &'static str) -> Self {
        self.change(Change::Join(kind, name)).claim(Claim::Joined(name))
    }

    pub fn works(self, question: &str) -> Self {
        self.word(question).claim(Claim::Works(question.to_owned()))
    }

    pub fn fails(self, question: &str, errno: i32) -> Self {
        self.word(question).claim(Claim::Fails(question.to_owned(), errno))
    }

    pub fn not_errno(self, question: &str, errno: i32) -> Self {
        self.word(question).claim(Claim::NotErrno(question.to_owned(), errno))
    }

    pub fn answers(self, question: &str, value: Value) -> Self {
        self.word(question).claim(Claim::Answers(question.to_owned(), value))
    }

    pub fn refused(mut self) -> Self {
        self.body = Body::Refused;
        self
    }

    pub fn ends(mut self, code: i32) -> Self {
        self.body = Body::Runs(code);
        self
    }

    pub fn steps(mut self, steps: fn(&mut Stage) -> Result<()>) -> Self {
        self.body = Body::Steps(steps);
        self
    }

    /// Plays the case on a stage that is set for it.
    pub fn play(&self, stage: &mut Stage) -> Result<()> {
        match self.body {
            Body::Steps(steps) => steps(stage),
            Body::Runs(code) => {
                let output = stage.run()?.exits(code)?;
                if code != 0 {
                    return Ok(());
                }
                let report = Stage::report(&output.stdout)?;
                self.claims.iter().try_for_each(|claim| claim.check(&report, stage))
            }
            Body::Refused => {
                let output = stage.run()?;
                ensure!(output.code != 0, "it runs, where an error was due");
                ensure!(output.code > 0, "the runtime crashed");
                let state = stage.call(&["state", "ID"])?;
                ensure!(state.code != 0, "the refused container is there: {}", state.text());
                Ok(())
            }
        }
    }
}

impl Claim {
    fn check(&self, report: &Value, stage: &Stage) -> Result<()> {
        match self {
            Self::Is(path, value) => same(path, at(report, path), &stage.fill(value)),
            Self::Has(path, value) => {
                let seen = at(report, path);
                let value = stage.fill(value);
                ensure!(has(seen, &value), "{} is {seen}, without {value}", path.join("."));
                Ok(())
            }
            Self::Lacks(path, value) => {
                let seen = at(report, path);
                let value = stage.fill(value);
                ensure!(!has(seen, &value), "{} is {seen}, with {value}", path.join("."));
                Ok(())
            }
            Self::AsHost(path) => same(path, at(report, path), at(stage.host()?, path)),
            Self::UnlikeHost(path) => {
                let seen = at(report, path);
                ensure!(!seen.is_null(), "{} is not there", path.join("."));
                ensure!(seen != at(stage.host()?, path), "{} is {seen}, as on the host", path.join("."));
                Ok(())
            }
            Self::Joined(name) => {
                same(&["namespaces", name], at(report, &["namespaces", name]), &stage.joined(name)?.into())
            }
            Self::Works(question) => {
                let answer = asked(report, question, stage)?;
                ensure!(answer.get("ok").is_some(), "{question}: {answer}");
                Ok(())
            }
            Self::Fails(question, errno) => {
                let answer = asked(report, question, stage)?;
                ensure!(answer["errno"] == *errno, "{question}: {answer}, expected errno {errno}");
                Ok(())
            }
            Self::NotErrno(question, errno) => {
                let answer = asked(report, question, stage)?;
                ensure!(answer["errno"] != *errno, "{question}: {answer}");
                Ok(())
            }
            Self::Answers(question, value) => {
                let answer = asked(report, question, stage)?;
                ensure!(answer["ok"] == *value, "{question}: {answer}, expected {value}");
                Ok(())
            }
        }
    }
}

/// The value at this path; null where there is none.
pub fn at<'a>(report: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(report, |value, key| &value[*key])
}

fn asked<'a>(report: &'a Value, question: &str, stage: &Stage) -> Result<&'a Value> {
    let asked = stage.fill(&json!(question));
    let answer = asked.as_str().and_then(|asked| report["asked"].get(asked));
    answer.with_context(|| format!("the probe did not answer {question}"))
}

fn same(path: &[&str], seen: &Value, expected: &Value) -> Result<()> {
    if seen != expected {
        bail!("{} is {seen}, expected {expected}", path.join("."));
    }
    Ok(())
}

fn has(seen: &Value, wanted: &Value) -> bool {
    match (seen, wanted) {
        (Value::Array(values), _) => values.contains(wanted),
        (Value::Object(map), Value::String(key)) => map.contains_key(key),
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        _ => false,
    }
}
