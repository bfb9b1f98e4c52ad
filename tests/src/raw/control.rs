//! Attacks with their negative controls: each is played against the server as it is, and against one of
//! whose defences some are off.

use anyhow::{Context, Result, ensure};
use protocol_spec::{defence::Defence, problem::Problem};

use super::{Answer, RawWorld};

/// Plays an attack, which ends with the answer that matters to the attacker, twice: against a server, which
/// must refuse it with this problem, and against a server without these defences, where it must succeed.
///
/// # Errors
/// When the attack is not refused so, or does not succeed in the control.
pub async fn defended<A>(off: &[Defence], problem: Problem, attack: A) -> Result<()>
where
    A: AsyncFn(&mut RawWorld) -> Result<Answer>,
{
    let answer = attack(&mut RawWorld::start().await?).await?;
    ensure!(
        answer.problem() == Some(problem),
        "expected {problem:?}, got {answer:?}"
    );
    let answer = attack(&mut RawWorld::start_without(off).await?)
        .await
        .with_context(|| format!("the control without {off:?}"))?;
    ensure!(
        answer.status.is_success(),
        "the attack fails also without {off:?}: it proves nothing: {answer:?}"
    );
    Ok(())
}
