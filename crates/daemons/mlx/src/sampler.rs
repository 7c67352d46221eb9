//! Chooses the next token from what an engine thinks of each. The same for every engine, and the
//! same for the same seed on every machine.

use std::collections::BTreeMap;

use crate::engine::Token;

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token, always; above, likely ones are preferred the less the higher.
    pub temperature: f32,
    /// Only the likeliest tokens that together have this share are drawn from.
    pub top_p: f32,
    /// Only tokens at least this likely, in parts of the likeliest one, are drawn from.
    pub min_p: f32,
    /// What a token loses for each time it has been chosen before: it keeps a small model from
    /// saying the same for ever.
    pub frequency_penalty: f32,
    /// What a token loses once it has been chosen.
    pub presence_penalty: f32,
    /// Where the random numbers start.
    pub seed: u64,
}

impl Sampling {
    /// The likeliest token, always.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_p: 1.0,
        min_p: 0.0,
        frequency_penalty: 0.0,
        presence_penalty: 0.0,
        seed: 0,
    };
}

/// Tokens less likely than this, in parts of the likeliest one, are never drawn. It keeps the
/// list that is sorted for each token short.
const SHARE_MIN: f32 = 1e-5;

/// What an engine returned cannot be chosen from: a number in it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model computed something that is no number")]
pub struct NotANumber;

/// Draws tokens.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: SplitMix,
    /// How often each token has been chosen.
    chosen: BTreeMap<usize, u16>,
    /// Kept to be used again: what the engine thinks, less the penalties.
    penalised: Vec<f32>,
    /// Kept to be used again: (share, token).
    candidates: Vec<(f32, usize)>,
}

impl Sampler {
    /// A sampler at the start of its random numbers.
    pub fn new(sampling: Sampling) -> Self {
        Self {
            sampling,
            random: SplitMix(sampling.seed),
            chosen: BTreeMap::new(),
            penalised: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Chooses a token, the position in `logits`.
    ///
    /// # Errors
    ///
    /// [`NotANumber`] when `logits` is empty or holds one.
    pub fn pick(&mut self, logits: &[f32]) -> Result<Token, NotANumber> {
        let Sampling { frequency_penalty, presence_penalty, .. } = self.sampling;
        let at = if frequency_penalty == 0.0 && presence_penalty == 0.0 {
            self.draw(logits)?
        } else {
            let mut penalised = std::mem::take(&mut self.penalised);
            penalised.clear();
            penalised.extend_from_slice(logits);
            for (at, count) in &self.chosen {
                if let Some(logit) = penalised.get_mut(*at) {
                    *logit -= frequency_penalty * f32::from(*count) + presence_penalty;
                }
            }
            let drawn = self.draw(&penalised);
            self.penalised = penalised;
            drawn?
        };
        let count = self.chosen.entry(at).or_default();
        *count = count.saturating_add(1);
        i32::try_from(at).map(Token).map_err(|_| NotANumber)
    }

    fn draw(&mut self, logits: &[f32]) -> Result<usize, NotANumber> {
        let (best, highest) = likeliest(logits)?;
        if self.sampling.temperature <= 0.0 {
            return Ok(best);
        }
        let share_min = self.sampling.min_p.max(SHARE_MIN);
        let share = |logit: f32| ((logit - highest) / self.sampling.temperature).exp();
        self.candidates.clear();
        self.candidates.extend(
            logits
                .iter()
                .enumerate()
                .map(|(at, logit)| (share(*logit), at))
                .filter(|(share, _)| *share >= share_min),
        );
        // Equal shares keep the vocabulary's order, so that a draw can be repeated.
        self.candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let all: f32 = self.candidates.iter().map(|(share, _)| share).sum();
        let mut total = 0.0;
        let mut kept = 0;
        for (share, _) in &self.candidates {
            total += share;
            kept += 1;
            if total >= all * self.sampling.top_p {
                break;
            }
        }
        let mut left = self.random.next_part() * total;
        for (share, at) in &self.candidates[..kept] {
            left -= share;
            if left < 0.0 {
                return Ok(*at);
            }
        }
        Ok(best)
    }
}

/// The first of the highest logits.
fn likeliest(logits: &[f32]) -> Result<(usize, f32), NotANumber> {
    let mut best = (0, f32::NEG_INFINITY);
    for (at, logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return Err(NotANumber);
        }
        if *logit > best.1 {
            best = (at, *logit);
        }
    }
    if best.1.is_finite() { Ok(best) } else { Err(NotANumber) }
}

/// Sebastiano Vigna's `SplitMix64`: small, fast, and the same everywhere.
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, 1.
    fn next_part(&mut self) -> f32 {
        /// 2 to the power of 24: a 32-bit float holds 24 bits exactly.
        const STEPS: f32 = 16_777_216.0;
        let top = u16::try_from(self.next() >> 48).unwrap_or(0);
        let low = u8::try_from(self.next() >> 56).unwrap_or(0);
        (f32::from(top) * 256.0 + f32::from(low)) / STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLING: Sampling = Sampling {
        temperature: 1.0,
        top_p: 1.0,
        min_p: 0.0,
        frequency_penalty: 0.0,
        presence_penalty: 0.0,
        seed: 7,
    };

    fn counts(sampling: Sampling, logits: &[f32]) -> Vec<u32> {
        let mut sampler = Sampler::new(sampling);
        let mut counts = vec![0; logits.len()];
        for _ in 0..10_000 {
            let token = sampler.pick(logits).unwrap();
            counts[usize::try_from(token.0).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn at_temperature_zero_the_first_of_the_likeliest_is_taken() {
        let mut sampler = Sampler::new(Sampling { temperature: 0.0, ..SAMPLING });
        assert_eq!(sampler.pick(&[1.0, 3.0, 3.0, 2.0]), Ok(Token(1)));
    }

    #[test]
    fn tokens_are_drawn_as_often_as_they_are_likely() {
        let counts = counts(SAMPLING, &[0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()]);
        for (count, expected) in counts.into_iter().zip([5_000_u32, 3_000, 2_000]) {
            assert!(count.abs_diff(expected) < 200, "{count} is not about {expected}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens_and_another_does_not() {
        let draw = |seed| {
            let mut sampler = Sampler::new(Sampling { seed, ..SAMPLING });
            (0..32).map(|_| sampler.pick(&[0.0; 100]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_token_that_was_chosen_becomes_less_likely_by_the_penalties() {
        let greedy = Sampling { temperature: 0.0, ..SAMPLING };
        let picks = |sampling| {
            let mut sampler = Sampler::new(sampling);
            (0..4).map(|_| sampler.pick(&[1.0, 0.0, -9.0]).unwrap().0).collect::<Vec<_>>()
        };
        assert_eq!(picks(greedy), [0, 0, 0, 0]);
        assert_eq!(picks(Sampling { frequency_penalty: 0.6, ..greedy }), [0, 0, 1, 0]);
        assert_eq!(picks(Sampling { presence_penalty: 1.5, ..greedy }), [0, 1, 0, 0]);
    }

    #[test]
    fn unlikely_tokens_are_cut_off() {
        let logits = [0.6_f32.ln(), 0.3_f32.ln(), 0.1_f32.ln()];
        assert_eq!(counts(Sampling { top_p: 0.7, ..SAMPLING }, &logits)[2], 0);
        assert_eq!(counts(Sampling { top_p: 0.5, ..SAMPLING }, &logits)[0], 10_000);
        assert_eq!(counts(Sampling { min_p: 0.4, ..SAMPLING }, &logits)[2], 0);
    }

    #[test]
    fn what_is_no_number_is_not_drawn_from() {
        for logits in [&[][..], &[f32::NAN, 1.0], &[f32::NEG_INFINITY], &[f32::INFINITY]] {
            assert_eq!(Sampler::new(SAMPLING).pick(logits), Err(NotANumber));
        }
    }
}
