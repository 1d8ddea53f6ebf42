// Explanations of scores. The scale is the service's calibrated score (docs/concepts.md): each 0.05 is one order of
// magnitude of false-match rate, and a search over N faces makes N comparisons.

/** Rates below this are extrapolated, not measured: no available data set has enough pairs (docs/accuracy.md). */
const MEASURED_TO = 1e-5;

/** Share of comparisons of different people that reach this score. */
export function falseMatchRate(score) {
  return Math.min(1, 10 ** (10 - 20 * score));
}

/** Share of searches by unknown people over `gallerySize` faces that reach a score of this false-match rate. */
export function falsePositiveRate(fmr, gallerySize) {
  if (fmr >= 1) return gallerySize ? 1 : 0;
  return -Math.expm1(gallerySize * Math.log1p(-fmr));
}

/** A rate as text, such as "one in 250,000"; for rates that were not measured, only a bound. */
export function oneIn(rate) {
  if (rate <= 0) return "none";
  if (rate > 0.5) return "nearly every one";
  if (rate < MEASURED_TO) return "fewer than one in 100,000";
  const count = 1 / rate;
  return `one in ${number(count < 10 ? Math.round(count * 10) / 10 : Number(count.toPrecision(2)))}`;
}

/** Strength of a match, by how often chance alone reaches such a score in a gallery of this size: [class, text]. */
export function strength(score, gallerySize) {
  const rate = falsePositiveRate(falseMatchRate(score), gallerySize);
  if (rate <= 1e-4) return ["strong", "Almost never by chance"];
  if (rate <= 1e-2) return ["good", "Rarely by chance"];
  if (rate <= 0.1) return ["fair", "Sometimes by chance"];
  return ["weak", "Often by chance"];
}

/** The sentence below a match. */
export function matchSentence(score, gallerySize) {
  const fmr = falseMatchRate(score);
  const among = gallerySize === 1 ? "With the one face searched" : `With the ${number(gallerySize)} faces searched`;
  return `${capital(oneIn(fmr))} pairs of different people look this alike. ` +
    `${among}, ${oneIn(falsePositiveRate(fmr, gallerySize))} searches for a stranger would find such a score.`;
}

/** The sentence about a search's threshold. */
export function thresholdSentence(threshold) {
  const size = threshold.gallery_size;
  return `Matches are shown from a score of ${threshold.min_score.toFixed(3)}. ` +
    `Among ${number(size)} ${size === 1 ? "face" : "faces"}, ${percent(threshold.fpir)} of searches for a stranger ` +
    "would show a match.";
}

export function number(value) {
  return value.toLocaleString("en-GB");
}

export function percent(rate) {
  if (rate > 0 && rate < 0.0001) return "fewer than 0.01 %";
  return `${Number((rate * 100).toPrecision(2))} %`;
}

/** "3 faces", "1 face". */
export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
