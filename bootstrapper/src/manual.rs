//! Shell completions and the manual page, generated from the command line's definition.

use crate::Cli;
use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

const NAME: &str = "cluster-bootstrapper";

/// The completion script of a shell.
pub fn completions(shell: Shell) -> String {
    let mut script = vec![];
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The manual page in roff: one page, with a section for each command.
pub fn page() -> Result<String> {
    let mut command = Cli::command();
    command.build();
    let mut page = roff(command.clone(), |man, page| {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)
    })?;
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        page += &format!(
            ".SH \"{} {}\"\n",
            NAME.to_uppercase(),
            sub.get_name().to_uppercase()
        );
        // The page's own sections come before; those of a command are a level below.
        let part = roff(sub.clone(), |man, page| {
            man.render_description_section(page)?;
            man.render_synopsis_section(page)?;
            man.render_options_section(page)
        })?;
        page += &part.replace(".SH ", ".SS ");
    }
    page += EXIT_CODES;
    Ok(page)
}

const EXIT_CODES: &str = ".SH \"EXIT STATUS\"\n\
    0 success, 1 a wrong config\\-file, 2 wrong usage, 3 a file that cannot be read or written.\n";

fn roff(
    command: clap::Command,
    render: impl Fn(&Man, &mut Vec<u8>) -> std::io::Result<()>,
) -> Result<String> {
    let mut page = vec![];
    render(&Man::new(command), &mut page).context("writing the manual page")?;
    String::from_utf8(page).context("the manual page is not UTF-8")
}
