//! Attacks of one request, with their negative controls.

use anyhow::{Context, Result, ensure};
use protocol_spec::{defence::Defence, problem::Problem};

use super::{Answer, RawWorld};
use crate::attack::note;

/// Plays an attack, which ends with the answer that matters to the attacker, twice: against a server, which
/// must refuse it with this problem, and against a server without these defences, where it must succeed.
pub async fn defended<A>(off: &[Defence], problem: Problem, attack: A) -> Result<()>
where
    A: AsyncFn(&mut RawWorld) -> Result<Answer>,
{
    defended_with(&[], off, problem, attack).await
}

/// The same against servers with further flags.
pub async fn defended_with<A>(flags: &[&str], off: &[Defence], problem: Problem, attack: A) -> Result<()>
where
    A: AsyncFn(&mut RawWorld) -> Result<Answer>,
{
    let as_is = attack(&mut RawWorld::start_with(flags, &[]).await?).await;
    if let Ok(answer) = &as_is {
        note(&[], answer.problem() != Some(problem))?;
    }
    let weakened = attack(&mut RawWorld::start_with(flags, off).await?).await;
    if let Ok(answer) = &weakened {
        note(off, answer.status.is_success())?;
    }
    let answer = as_is?;
    ensure!(
        answer.problem() == Some(problem),
        "expected {problem:?}, got {answer:?}"
    );
    let answer = weakened.with_context(|| format!("the control without {off:?}"))?;
    ensure!(
        answer.status.is_success(),
        "the attack fails also without {off:?}: it proves nothing: {answer:?}"
    );
    Ok(())
}
