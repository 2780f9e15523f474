//! `login` and `logout`: credentials for registries, shown to the registry before they are kept.

use ross_api::v1::{LoginRequest, RegistryAuth};
use ross_types::RegistryHost;
use tonic::Code;

use super::{Context, Outcome};
use crate::args::{LoginArgs, LogoutArgs};
use crate::connect::Daemon;
use crate::credentials::{Kept, Store};
use crate::failure::Failure;
use crate::session::prompt;

/// `login`
pub async fn login(args: LoginArgs, context: &mut Context) -> Outcome {
    let registry = registry(args.server.as_deref())?;
    let store = Store::of_process()?;
    // Before anybody types a password: what cannot be read now cannot be written later.
    let known = store.get(&registry).await?;
    if args.password.is_some() {
        context.streams.stderr.say("warning: --password can be seen by others; --password-stdin cannot");
    }
    let daemon = context.daemon().await?;
    let nothing_typed = args.username.is_none() && args.password.is_none();
    if nothing_typed
        && let Some(known) = &known
        && again(&daemon, &registry, known, context).await?
    {
        context.streams.stdout.line("Login Succeeded")?;
        return Ok(0);
    }
    let mut auth = ask(args, &registry, known.as_ref(), context).await?;
    let token = show(&daemon, &registry, &auth).await?;
    if !token.is_empty() {
        // It takes the password's place, which is then nowhere.
        (auth.password, auth.identity_token) = (String::new(), token);
    }
    if let Kept::InFile(path) = store.keep(&registry, &auth).await? {
        context.streams.stderr.say(format_args!(
            "warning: the credentials are in {}, unencrypted; a credential helper (credsStore) keeps them better",
            path.display()
        ));
    }
    context.streams.stdout.line("Login Succeeded")?;
    Ok(0)
}

/// `logout`
pub async fn logout(args: LogoutArgs, context: &mut Context) -> Outcome {
    let store = Store::of_process()?;
    let registries = match args.all {
        true => store.registries().await?.into_iter().collect(),
        false => vec![registry(args.server.as_deref())?],
    };
    for registry in registries {
        let said = if store.erase(&registry).await? {
            format!("Removing login credentials for {registry}")
        } else if args.all {
            continue;
        } else {
            format!("Not logged in to {registry}")
        };
        context.streams.stdout.line(said)?;
    }
    Ok(0)
}

fn registry(server: Option<&str>) -> Result<RegistryHost, Failure> {
    let Some(server) = server else { return Ok(RegistryHost::docker_hub()) };
    server.parse().map_err(|error: ross_types::InvalidRegistryHost| Failure::Usage(error.to_string()))
}

/// Lets the daemon show `auth` to the registry; answers the identity token given in its place, if there is one.
async fn show(daemon: &Daemon, registry: &RegistryHost, auth: &RegistryAuth) -> Result<String, Failure> {
    let request = LoginRequest { registry: registry.to_string(), auth: Some(auth.clone()) };
    Ok(daemon.images().login(request).await?.into_inner().identity_token)
}

/// Tries what is kept already; false when the registry refuses it.
async fn again(
    daemon: &Daemon,
    registry: &RegistryHost,
    known: &RegistryAuth,
    context: &Context,
) -> Result<bool, Failure> {
    context.streams.stdout.line("Authenticating with existing credentials...")?;
    match show(daemon, registry, known).await {
        Ok(_) => Ok(true),
        Err(Failure::Refused(status)) if status.code() == Code::Unauthenticated => {
            context.streams.stderr.say(Failure::Refused(status));
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

/// The user's name and password: as typed with the command, else from standard input, else asked for.
async fn ask(
    args: LoginArgs,
    registry: &RegistryHost,
    known: Option<&RegistryAuth>,
    context: &mut Context,
) -> Result<RegistryAuth, Failure> {
    let asking = args.username.is_none() || (args.password.is_none() && !args.password_stdin);
    if asking && !context.streams.terminal.stdin {
        let reason = "standard input is no terminal to ask at: give --username and --password-stdin";
        return Err(Failure::Usage(reason.to_owned()));
    }
    let username = match args.username {
        Some(username) => username,
        None => {
            let known = known.map(|known| known.username.clone()).filter(|name| !name.is_empty());
            let default = known.as_ref().map_or(String::new(), |name| format!(" ({name})"));
            let question = format!("Username for {registry}{default}: ");
            let typed = prompt::ask(&mut context.streams, &question).await?;
            Some(typed).filter(|name| !name.is_empty()).or(known).unwrap_or_default()
        }
    };
    let password = match args.password {
        Some(password) => password,
        None if args.password_stdin => prompt::read_all(&mut context.streams).await?,
        None => prompt::ask_hidden(&mut context.streams, "Password: ").await?,
    };
    for (what, value) in [("user name", &username), ("password", &password)] {
        if value.is_empty() {
            return Err(Failure::Usage(format!("the {what} is empty")));
        }
    }
    if username.contains(':') {
        return Err(Failure::Usage(format!("the user name `{username}` has a colon in it")));
    }
    Ok(RegistryAuth { username, password, ..RegistryAuth::default() })
}
