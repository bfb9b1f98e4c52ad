//! Client programs that the registrar vouches for: whoever carries its statements here. See `spec/programs.md`.

use protocol_spec::{
    bodies::Program,
    log::Entry,
    messages as pb,
    problem::Problem,
    programs::verify_program,
    statement::{Signed, Verified},
    submitted::{self, Submitted},
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        run,
        shared::Shared,
        tx::{Operation, Tx},
    },
    tables,
};

/// Puts a program into the log (PRG-2). The statement proves itself, so anybody may bring it, and bringing it again changes
/// nothing.
pub(crate) async fn publish_program(
    shared: &Shared,
    message: pb::PublishProgram,
) -> Result<pb::ProgramPublished, Refusal> {
    let Shared { registrar, log, .. } = shared;
    let submitted::PublishProgram { program } = Submitted::read(message)?;
    let program = verify_program(program, registrar)?;
    let first = run::run(shared, &Publish { program }).await?;
    Ok(pb::ProgramPublished {
        proof: Some(log.prove_published(&Entry::Program(first.clone())).await?),
        program: Some(first),
    })
}

struct Publish {
    program: Verified<Program>,
}

impl Operation for Publish {
    /// The statement that stands: the first one.
    type Answer = pb::Statement;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self { program } = self;
        let key = tables::program(program);
        if let Some(first) = tx.read(&key).await? {
            let stands = Signed::<Program>::try_from(first.clone())?;
            ensure(
                program.says_as(stands.claimed()),
                Problem::AlreadyExists,
                "something else stands under the program's name, version and target",
            )?;
            return Ok(first);
        }
        tx.publish(&Entry::program(program))?;
        tx.put(&key, &program.to_message());
        Ok(program.to_message())
    }
}
