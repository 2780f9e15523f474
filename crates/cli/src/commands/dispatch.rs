//! Each command that can be typed, and what carries it out.

use super::{
    Context, Outcome, attach, container, create, exec, image, inspect, lifecycle, login, logs, make, prune,
    pull, run, save, stats, system, verify,
};
use crate::args::{Command, ContainerCommand, ImageCommand, SystemCommand};

/// Carries out what was typed.
pub async fn dispatch(command: Command, context: &mut Context) -> Outcome {
    use ContainerCommand as Container;
    use ImageCommand as Image;
    match command {
        Command::Container(long) => match long.command {
            Container::Run(args) => run::run(&args, context).await,
            Container::Create(args) => {
                create::command(&args.options, &args.image, &args.command, context).await
            }
            Container::Start(args) => attach::start(args, context).await,
            Container::Stop(args) => lifecycle::stop(args, context).await,
            Container::Restart(args) => lifecycle::restart(args, context).await,
            Container::List(args) => container::list(&args, context).await,
            Container::Inspect(args) => inspect::containers(args.containers, args.size, context).await,
            Container::Remove(args) => lifecycle::remove(args, context).await,
            Container::Pause(args) => lifecycle::pause(args, context).await,
            Container::Unpause(args) => lifecycle::unpause(args, context).await,
            Container::Logs(args) => logs::logs(&args, context).await,
            Container::Exec(args) => exec::exec(&args, context).await,
            Container::Attach(args) => attach::attach(&args, context).await,
            Container::Wait(args) => lifecycle::wait(args, context).await,
            Container::Kill(args) => lifecycle::kill(args, context).await,
            Container::Rename(args) => container::rename(args, context).await,
            Container::Stats(args) => stats::stats(&args, context).await,
            Container::Commit(args) => make::commit(args, context).await,
            Container::Export(args) => make::export(args, context).await,
            Container::Prune(args) => prune::containers(args, context).await,
        },
        Command::Image(long) => match long.command {
            Image::List(args) => image::list(&args, context).await,
            Image::Inspect(args) => inspect::images(args.images, context).await,
            Image::Pull(args) => pull::pull(&args, context).await,
            Image::Push(args) => pull::push(&args, context).await,
            Image::Build(args) => image::build(&args, context).await,
            Image::Remove(args) => image::remove(args, context).await,
            Image::Tag(args) => image::tag(args, context).await,
            Image::Search(args) => image::search(args, context).await,
            Image::Load(args) => image::load(args, context).await,
            Image::Save(args) => save::save(args, context).await,
            Image::Verify(args) => verify::verify(args, context).await,
            Image::Import(args) => make::import(args, context).await,
            Image::History(args) => make::history(args, context).await,
            Image::Prune(args) => prune::images(args, context).await,
        },
        Command::System(long) => match long.command {
            SystemCommand::Df(args) => prune::df(args, context).await,
            SystemCommand::Prune(args) => prune::system(args, context).await,
            SystemCommand::Info => system::info(context).await,
        },
        Command::Run(args) => run::run(&args, context).await,
        Command::Create(args) => {
            let (image, command) = args.words.split_first().ok_or_else(create::no_image)?;
            create::command(&args.options, image, command, context).await
        }
        Command::Start(args) => attach::start(args, context).await,
        Command::Stop(args) => lifecycle::stop(args, context).await,
        Command::Restart(args) => lifecycle::restart(args, context).await,
        Command::Kill(args) => lifecycle::kill(args, context).await,
        Command::Pause(args) => lifecycle::pause(args, context).await,
        Command::Unpause(args) => lifecycle::unpause(args, context).await,
        Command::Ps(args) => container::list(&args, context).await,
        Command::Exec(args) => exec::exec(&args, context).await,
        Command::Logs(args) => logs::logs(&args, context).await,
        Command::Attach(args) => attach::attach(&args, context).await,
        Command::Wait(args) => lifecycle::wait(args, context).await,
        Command::Rename(args) => container::rename(args, context).await,
        Command::Rm(args) => lifecycle::remove(args, context).await,
        Command::Stats(args) => stats::stats(&args, context).await,
        Command::Inspect(args) => inspect::any(args, context).await,
        Command::Images(args) => image::list(&args, context).await,
        Command::Pull(args) => pull::pull(&args, context).await,
        Command::Push(args) => pull::push(&args, context).await,
        Command::Build(args) => image::build(&args, context).await,
        Command::Rmi(args) => image::remove(args, context).await,
        Command::Tag(args) => image::tag(args, context).await,
        Command::Load(args) => image::load(args, context).await,
        Command::Save(args) => save::save(args, context).await,
        Command::Import(args) => make::import(args, context).await,
        Command::Commit(args) => make::commit(args, context).await,
        Command::Export(args) => make::export(args, context).await,
        Command::History(args) => make::history(args, context).await,
        Command::Search(args) => image::search(args, context).await,
        Command::Login(args) => login::login(args, context).await,
        Command::Logout(args) => login::logout(args, context).await,
        Command::Health => system::health(context).await,
        Command::Version => system::version(context).await,
        Command::Info => system::info(context).await,
    }
}
